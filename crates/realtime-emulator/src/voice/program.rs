//! Runs a program that turns text into bytes. Its time and its output are bounded, whatever it does.
//!
//! The rule kept here: when [`run`] returns, the program has ended.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What the program writes to standard output when `input` comes on its standard input. `None`: it could not
/// be started, failed, took longer than `within`, or wrote more than `most` bytes.
pub(super) fn run(command: &mut Command, input: &str, most: usize, within: Duration) -> Option<Vec<u8>> {
    let deadline = Instant::now() + within;
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let output = converse(&mut child, input.into(), most, within);
    // A program that is done has closed its output, and ends now.
    let ended = output.as_ref().and_then(|_| ended(&mut child, deadline));
    if ended.is_none() {
        // Both fail only if it has ended in the meantime.
        let _ = child.kill();
        let _ = child.wait();
    }
    output.filter(|output| output.len() <= most && ended.is_some_and(|status| status.success()))
}

/// Writes the input and reads the output, on a thread of its own: neither can be given up halfway otherwise.
/// The thread ends with the program.
fn converse(child: &mut Child, input: String, most: usize, within: Duration) -> Option<Vec<u8>> {
    let (mut stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    let (told, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut output = Vec::new();
        let written = stdin.write_all(input.as_bytes());
        drop(stdin);
        let read = written.and_then(|()| stdout.take(most as u64 + 1).read_to_end(&mut output));
        // Nobody listens if it took too long.
        let _ = told.send(read.ok().map(|_| output));
    });
    heard.recv_timeout(within).ok().flatten()
}

/// How it ended. `None`: it goes on.
fn ended(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            _ => return None,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str, input: &str, most: usize, within: u64) -> Option<Vec<u8>> {
        run(Command::new("sh").args(["-c", script]), input, most, Duration::from_millis(within))
    }

    #[test]
    fn its_output_comes_whole_or_not_at_all() {
        assert_eq!(sh("cat", "two words", 9, 30_000).as_deref(), Some(&b"two words"[..]));
        assert_eq!(sh("cat", "two words", 8, 30_000), None, "too much");
        assert_eq!(sh("cat; exit 1", "two words", 9, 30_000), None, "it failed");
        assert_eq!(run(&mut Command::new("/no/such"), "", 9, Duration::from_secs(30)), None);
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        for script in ["exec sleep 60", "exec >&-; exec sleep 60", "exec yes"] {
            let began = Instant::now();
            assert_eq!(sh(script, "words", 100, 300), None, "{script}");
            assert!(began.elapsed() < Duration::from_secs(20), "{script}: {:?}", began.elapsed());
        }
    }
}
