//! The lines of a log, one below the other: when, from whom, what, and how large. Audio is folded.

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::story::printable;
use crate::view::events::COLUMNS;
use crate::view::model::Model;

/// Prints the lines that are shown at their time, which is this much later than the log has it.
pub(super) fn print(model: &Model, later: Duration, shown: impl Fn(Timestamp) -> bool) {
    say!("{:>7} {:>10}  {:<8} {:<48} {:>8}", "line", "time", "from", "event", "bytes");
    let (numbers, _) = model.events.columns.as_chunks::<4>();
    let (rows, _) = numbers.as_chunks::<COLUMNS>();
    for (event, row) in rows.iter().enumerate() {
        let [low, high, line, _, kind, size] = row.map(u32::from_le_bytes);
        let at = Timestamp::from_micros(u64::from(low) | u64::from(high) << 32) + later;
        if !shown(at) {
            continue;
        }
        let Some((from, name, _)) = model.events.kinds.get(kind as usize) else { continue };
        let more = match model.events.folds.get(&event) {
            Some((count, last, 0)) => {
                format!("  {count} lines, until {}", Timestamp::from_micros(*last as u64) + later)
            }
            Some((count, last, bytes)) => {
                let last = Timestamp::from_micros(*last as u64) + later;
                format!("  {count} lines, until {last}: {bytes} bytes of audio")
            }
            None => String::new(),
        };
        let (at, from, name) = (at.to_string(), printable(from), printable(name));
        say!("{line:>7} {at:>10}  {from:<8} {name:<48} {size:>8}{more}");
    }
}
