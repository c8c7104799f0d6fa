//! A microphone and a loudspeaker for programs that speak to ALSA, without a sound card: [`AlsaDevices`].
//!
//! ALSA's plugin `file` reads what is heard from a pipe, and writes what is played into another. A thread at
//! the far end of each keeps the pace of a real device, so that programs run at the speed of sound.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, create_dir_all, remove_dir_all, write};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The rate of both devices (Hz), as long as a program asks for it.
pub const RATE: u32 = 48_000;

/// Samples of 20 ms.
const FRAME: usize = RATE as usize / 50;

/// A microphone `test_microphone` and a loudspeaker `test_loudspeaker`, for programs that are started with
/// [`config`](Self::config) in the variable `ALSA_CONFIG_PATH`.
///
/// The microphone is taken as mono, the loudspeaker as stereo, both in 16 bits.
#[derive(Debug)]
pub struct AlsaDevices {
    folder: PathBuf,
    said: Arc<Mutex<VecDeque<i16>>>,
    heard: Arc<Mutex<Vec<i16>>>,
    microphone: File,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl AlsaDevices {
    /// Makes the pipes. The loudspeaker is there from now on.
    ///
    /// # Errors
    /// There is no place for them, or the program `mkfifo` is missing.
    pub fn new() -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("realtime-alsa-{}-{number}", std::process::id()));
        create_dir_all(&folder)?;
        let (microphone, loudspeaker) = (folder.join("microphone"), folder.join("loudspeaker"));
        let made = Command::new("mkfifo").args([&microphone, &loudspeaker]).status()?;
        if !made.success() {
            return Err(io::Error::other("mkfifo failed"));
        }
        let device = |name: &str, options: String| {
            format!(
                "pcm.{name} {{ type file slave.pcm {{ type null }} {options} format raw \
                 hint {{ show on description \"A device of a test: {name}\" }} }}\n"
            )
        };
        let (source, sink) = (microphone.display(), loudspeaker.display());
        let config = device("test_microphone", format!("file \"/dev/null\" infile \"{source}\""))
            + &device("test_loudspeaker", format!("file \"{sink}\""));
        write(folder.join("asound.conf"), config)?;

        let heard = Arc::<Mutex<Vec<i16>>>::default();
        let (pipe, played) = (open(&loudspeaker)?, Arc::clone(&heard));
        thread::Builder::new().name("loudspeaker".to_owned()).spawn(move || play(pipe, &played))?;
        // Open from now on: a program that opens the other end does not wait.
        let microphone = open(&microphone)?;
        Ok(Self { folder, said: Arc::default(), heard, microphone })
    }

    /// ALSA's configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join("asound.conf")
    }

    /// The microphone begins to give silence and what is said. Before that it gives nothing, so that nothing
    /// waits in its pipe.
    ///
    /// # Errors
    /// There is no thread.
    pub fn begin(&self) -> io::Result<()> {
        let (pipe, said) = (self.microphone.try_clone()?, Arc::clone(&self.said));
        thread::Builder::new().name("microphone".to_owned()).spawn(move || record(pipe, &said))?;
        Ok(())
    }

    /// Says this (mono, 48,000 Hz) into the microphone, after what was said before.
    pub fn say(&self, samples: impl IntoIterator<Item = i16>) {
        lock(&self.said).extend(samples);
    }

    /// What the loudspeaker has played: its left channel.
    pub fn heard(&self) -> Vec<i16> {
        lock(&self.heard).clone()
    }
}

impl Drop for AlsaDevices {
    fn drop(&mut self) {
        // Its threads end with the process.
        drop(remove_dir_all(&self.folder));
    }
}

/// Both ends at once: so nobody waits for another one to open it, and it is never broken.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn record(mut pipe: File, said: &Mutex<VecDeque<i16>>) {
    let mut pace = Pace::new();
    loop {
        let frame: Vec<u8> = {
            let mut said = lock(said);
            (0..FRAME).flat_map(|_| said.pop_front().unwrap_or_default().to_le_bytes()).collect()
        };
        if pipe.write_all(&frame).is_err() {
            return;
        }
        pace.wait();
    }
}

fn play(mut pipe: File, played: &Mutex<Vec<i16>>) {
    let mut frame = [0; FRAME * 4];
    let mut pace = Pace::new();
    while pipe.read_exact(&mut frame).is_ok() {
        let left = frame.chunks_exact(4).map(|both| i16::from_le_bytes([both[0], both[1]]));
        lock(played).extend(left);
        pace.wait();
    }
}

/// Frames of 20 ms, one after the other. A pause puts them off; they do not hurry after it.
struct Pace(Instant);

impl Pace {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn wait(&mut self) {
        self.0 += Duration::from_millis(20);
        match self.0.checked_duration_since(Instant::now()) {
            Some(early) => thread::sleep(early),
            None => self.0 = Instant::now(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
