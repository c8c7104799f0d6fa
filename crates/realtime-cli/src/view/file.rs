//! Logs are read from files, and the page is written to one.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use realtime_client::audio_path;
use realtime_context::budget::Prices;
use serde::Serialize;

use super::call::{Options, Reader};
use super::model::Model;
use super::page;
use crate::Error;
use crate::log_lines::{self, cannot_read};

/// The most sound that a page holds unless told otherwise (MB, as base64).
pub(super) const AUDIO_MB: u32 = 64;

/// What a page shows beyond the logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) prices: Option<Prices>,
    /// The most sound (MB).
    pub(crate) audio: u32,
}

impl Default for Sight {
    fn default() -> Self {
        Self { prices: None, audio: AUDIO_MB }
    }
}

/// Writes the page of these logs, and says so.
pub(crate) fn write(logs: &[PathBuf], out: &Path, sight: &Sight) -> Result<(), Error> {
    let Made { page: _, bytes, notes } = make(logs, out, sight)?;
    say!("page        {} ({:.1} MB): open it in a browser", out.display(), bytes as f64 / 1e6);
    notes.iter().for_each(|note| say!("note        {note}"));
    Ok(())
}

/// A page that was written.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    page: PathBuf,
    bytes: u64,
    /// What the logs lack.
    notes: Vec<String>,
}

/// Writes the page of these logs.
pub(crate) fn make(logs: &[PathBuf], out: &Path, sight: &Sight) -> Result<Made, Error> {
    // Four characters of base64 are three bytes.
    let audio = sight.audio as usize * 750_000 / logs.len().max(1);
    let options = Options { prices: sight.prices, audio };
    let models: Vec<Model> = logs.iter().map(|log| read_with(log, options)).collect::<Result<_, _>>()?;
    if logs.iter().any(|log| log == out) {
        return Err(format!("expected another file for the page than the log {}", out.display()).into());
    }
    let failed = |error: io::Error| format!("cannot write {}: {error}", out.display());
    let mut file = BufWriter::new(File::create(out).map_err(failed)?);
    page::write(&models, &mut file).and_then(|()| file.flush()).map_err(failed)?;
    let bytes = file.get_ref().metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let notes = models.iter().flat_map(|model| &model.notes).map(|note| note.text.clone()).collect();
    Ok(Made { page: out.to_owned(), bytes, notes })
}

/// Reads a price table.
pub(super) fn prices(path: &Path) -> Result<Prices, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| format!("{}: expected a price table: {error}", path.display()).into())
}

/// Reads a log as far as it goes, without its sound.
pub(crate) fn read(log: &Path) -> Result<Model, Error> {
    read_with(log, Options { prices: None, audio: 0 })
}

/// Reads a log as far as it goes.
pub(super) fn read_with(log: &Path, options: Options) -> Result<Model, Error> {
    let name = log.display();
    let (first, mut lines) = log_lines::open(log)?;
    let shown = log.file_name().unwrap_or_default().to_string_lossy();
    let mut reader = Reader::new(&shown, &first, options).map_err(|error| format!("{name}: {error}"))?;
    let mut audio = File::open(audio_path(log)).ok().map(BufReader::new);
    let mut aside = |first: u64, bytes: usize| piece(audio.as_mut()?, first, bytes);
    loop {
        match lines.next() {
            Ok(None) => break,
            Ok(Some((number, line))) => {
                if reader.line(number, line, &mut aside).is_ok() {
                    continue;
                }
                if lines.is_open() { reader.cut(number) } else { reader.damaged(number) }
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let number = lines.number();
                if lines.is_open() { reader.cut(number) } else { reader.damaged(number) }
            }
            Err(error) => return Err(cannot_read(log, &error)),
        }
    }
    Ok(reader.finish())
}

/// Reads a piece of the file beside the log. Most pieces follow each other.
fn piece(audio: &mut BufReader<File>, first: u64, bytes: usize) -> Option<Vec<u8>> {
    let here = audio.stream_position().ok()?;
    let ahead = i64::try_from(first).ok()?.checked_sub(i64::try_from(here).ok()?)?;
    audio.seek_relative(ahead).or_else(|_| audio.seek(SeekFrom::Start(first)).map(drop)).ok()?;
    let mut piece = Vec::new();
    audio.take(bytes as u64).read_to_end(&mut piece).ok()?;
    (piece.len() == bytes).then_some(piece)
}
