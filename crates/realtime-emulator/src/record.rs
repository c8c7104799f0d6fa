//! Session logs of what a server saw: the format of [`realtime_protocol::log`], without the application's
//! part, which only the client knows. Lines are `server` for texts that this side sent and `client` for texts
//! that came.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use realtime_protocol::call::{ConnectionId, DisconnectReason};
use realtime_protocol::event::Dialect;
use realtime_protocol::log::{Header, LogWriter};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::time::{Timestamp, UnixTime};

/// Writes one session's log. The first failure ends the log and not the session.
#[derive(Debug)]
pub(crate) struct Record {
    file: Option<BufWriter<File>>,
    writer: LogWriter,
    line: String,
}

impl Record {
    /// Begins `session-NUMBER.jsonl` in a directory. Creates the directory if it is missing.
    pub(crate) fn begin(
        directory: &Path,
        number: u64,
        dialect: Dialect,
        model: &str,
        wall: UnixTime,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let file = File::create(directory.join(format!("session-{number:06}.jsonl")))?;
        let header = Header::new(SessionOptions::default().dialect(dialect), model, wall);
        let writer = LogWriter::default();
        let mut record = Self { file: Some(BufWriter::new(file)), writer, line: String::new() };
        record.write(|writer, line| {
            writer.header(line, &header);
            writer.connected(line, Timestamp::ZERO, CONNECTION, wall);
        });
        Ok(record)
    }

    /// This side sent a text.
    pub(crate) fn sent(&mut self, at: Timestamp, text: &str) {
        self.write(|writer, line| writer.text(line, at, CONNECTION, text));
    }

    /// The client sent a text.
    pub(crate) fn came(&mut self, at: Timestamp, text: &str) {
        self.write(|writer, line| writer.client_text(line, at, CONNECTION, text));
    }

    /// The connection has ended.
    pub(crate) fn ended(&mut self, at: Timestamp, code: Option<u16>, reason: &str) {
        let reason = DisconnectReason::Closed { code, reason: reason.into() };
        self.write(|writer, line| writer.disconnected(line, at, CONNECTION, &reason));
        if let Some(mut file) = self.file.take()
            && let Err(error) = file.flush()
        {
            tracing::warn!(%error, "cannot write the session log");
        }
    }

    fn write(&mut self, line: impl FnOnce(&LogWriter, &mut String)) {
        let Some(file) = &mut self.file else { return };
        self.line.clear();
        line(&self.writer, &mut self.line);
        if let Err(error) = file.write_all(self.line.as_bytes()) {
            tracing::warn!(%error, "cannot write the session log");
            self.file = None;
        }
    }
}

const CONNECTION: ConnectionId = ConnectionId(1);
