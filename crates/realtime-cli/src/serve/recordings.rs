//! Session logs of calls, on disk: [`Recordings`]. They are written where the server is told to, kept as long
//! as it is told to, and each can be deleted.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use realtime_client::{FileLog, audio_path};
use realtime_protocol::log::{Filter, LogContent};

use crate::Error;
use crate::recorded_content::RecordedContent;

/// How often logs that are too old are looked for.
pub(super) const SWEEP: Duration = Duration::from_secs(600);

/// The files' ending.
const ENDING: &str = "jsonl";

/// Where logs are, what they hold, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Recordings {
    folder: PathBuf,
    content: LogContent,
    keep: Option<Duration>,
    /// What callers are told.
    notice: Option<String>,
}

impl Recordings {
    /// Logs in this folder, which is made if it is missing. `keep`: `None` for ever.
    ///
    /// # Errors
    /// The folder cannot be made or written to.
    pub(super) fn new(
        folder: &Path,
        content: RecordedContent,
        keep: Option<Duration>,
        notice: &str,
    ) -> Result<Self, Error> {
        let cannot = |error| format!("cannot write recordings to {}: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let notice = notice.trim();
        let recordings = Self {
            folder: folder.to_owned(),
            content: content.into(),
            keep,
            notice: (!notice.is_empty()).then(|| notice.to_owned()),
        };
        let probe = recordings.path("writable");
        std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe)).map_err(cannot)?;
        Ok(recordings)
    }

    /// Returns whether the logs hold what was said.
    pub(super) fn has_words(&self) -> bool {
        self.content != LogContent::Metadata
    }

    /// What an agent is told to say first, before its own greeting.
    pub(super) fn greeting(&self, own: Option<&str>) -> Option<String> {
        let notice = self.notice.as_deref().filter(|_| self.has_words())?;
        let first = format!("Begin with exactly this sentence, in the user's language: \"{notice}\"");
        Some(match own {
            Some(own) => format!("{first} Then go on: {own}"),
            None => first,
        })
    }

    /// The log of a new call.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn log(&self, id: &str) -> io::Result<FileLog> {
        FileLog::create(self.path(id))?.filter(Filter::new(self.content))
    }

    /// Deletes a call's log, and its audio. Returns whether there was one.
    ///
    /// # Errors
    /// A file is there and cannot be deleted.
    pub(super) fn delete(&self, id: &str) -> io::Result<bool> {
        // An id is a number and some hexadecimal digits: nothing else may name a file.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Ok(false);
        }
        remove(&self.path(id))
    }

    /// Deletes logs that are older than they may be. Returns how many.
    ///
    /// # Errors
    /// The folder cannot be read, or a file not deleted: the others are deleted nonetheless.
    pub(super) fn sweep(&self, now: SystemTime) -> io::Result<usize> {
        let Some(keep) = self.keep else { return Ok(0) };
        let (mut count, mut failed) = (0, None);
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_none_or(|ending| ending != ENDING) {
                continue;
            }
            // The last line that was written counts: a call that runs is never too old.
            let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
            if age > keep {
                match remove(&path) {
                    Ok(was_there) => count += usize::from(was_there),
                    Err(error) => failed = Some(error),
                }
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// What a person is told at the start.
    pub(super) fn introduction(&self) -> String {
        let keep = match self.keep {
            Some(keep) => format!("kept for {} days", keep.as_secs() / 86_400),
            None => "kept for ever".to_owned(),
        };
        let notice = match (&self.notice, self.has_words()) {
            (_, false) => "",
            (Some(_), true) => ", callers are told",
            (None, true) => ", callers are not told",
        };
        format!("{} ({keep}{notice})", self.folder.display())
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.{ENDING}"))
    }
}

/// Deletes a log and its audio. Returns whether the log was there.
fn remove(log: &Path) -> io::Result<bool> {
    let mut was_there = false;
    for (file, is_log) in [(audio_path(log), false), (log.to_owned(), true)] {
        match std::fs::remove_file(&file) {
            Ok(()) => was_there |= is_log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(was_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recordings(name: &str, notice: &str, content: RecordedContent) -> Recordings {
        let folder = std::env::temp_dir().join(format!("realtime-recordings-{}-{name}", std::process::id()));
        // It may be left from a run that was cut off.
        let _ = std::fs::remove_dir_all(&folder);
        Recordings::new(&folder, content, Some(Duration::from_secs(86_400)), notice).unwrap()
    }

    #[test]
    fn a_log_is_deleted_with_its_audio_and_nothing_else_is() {
        let recordings = recordings("delete", "", RecordedContent::Full);
        let log = recordings.path("7-0000beef");
        std::fs::write(&log, "{}").unwrap();
        std::fs::write(audio_path(&log), "").unwrap();
        let other = recordings.folder.join("notes.txt");
        std::fs::write(&other, "").unwrap();
        for id in ["../notes", "7-0000bee", "", "notes.txt", "/etc/passwd"] {
            assert!(!recordings.delete(id).unwrap(), "{id}");
        }
        assert!(recordings.delete("7-0000beef").unwrap() && !recordings.delete("7-0000beef").unwrap());
        assert!(!audio_path(&log).exists() && other.exists());
        std::fs::remove_dir_all(&recordings.folder).unwrap();
    }

    #[test]
    fn logs_go_when_they_are_too_old() {
        let recordings = recordings("sweep", "", RecordedContent::Full);
        let log = recordings.path("1-a");
        std::fs::write(&log, "{}").unwrap();
        let now = SystemTime::now();
        assert_eq!(recordings.sweep(now + Duration::from_secs(3_600)).unwrap(), 0);
        assert_eq!(recordings.sweep(now + Duration::from_secs(2 * 86_400)).unwrap(), 1);
        assert!(!log.exists());
        std::fs::remove_dir_all(&recordings.folder).unwrap();
    }

    #[test]
    fn callers_are_told_where_words_are_kept() {
        let told = recordings("told", "This call is recorded.", RecordedContent::AudioAside);
        let greeting = told.greeting(Some("Greet the guest.")).unwrap();
        assert!(greeting.contains("\"This call is recorded.\" Then go on: Greet the guest."), "{greeting}");
        assert!(told.greeting(None).is_some() && told.introduction().ends_with("1 days, callers are told)"));
        let metadata = recordings("metadata", "This call is recorded.", RecordedContent::Metadata);
        assert_eq!(metadata.greeting(Some("Greet the guest.")), None);
        let silent = recordings("silent", " ", RecordedContent::Full);
        assert_eq!(silent.greeting(Some("Greet the guest.")), None);
        for recordings in [told, metadata, silent] {
            std::fs::remove_dir_all(&recordings.folder).unwrap();
        }
    }
}
