//! What came wrong in a call, in one line for the log: numbers, and no content.

use realtime_telephony::Counts;

/// What was odd or lost. `None`: nothing.
pub(super) fn of(counts: &Counts, unplayed: u64, unanswered_marks: u64) -> Option<String> {
    let numbers = [
        (counts.filled_samples, "samples were lost and filled with silence"),
        (counts.unfilled_samples, "samples were lost and not filled"),
        (counts.early, "pieces of audio came early"),
        (counts.late, "pieces of audio came too late or twice"),
        (counts.odd_bytes, "bytes were no whole sample"),
        (counts.before_start, "messages came before the start"),
        (counts.after_end, "messages came after the end"),
        (counts.too_long, "messages were too long"),
        (counts.unknown_marks, "marks came back unasked"),
        (counts.unsent_marks, "marks were not sent"),
        (unanswered_marks, "marks went out, and none came back: what was heard is not known"),
        (counts.carrier_faults, "errors were reported by the carrier"),
        (unplayed, "pieces of our audio came before the start or after the end"),
    ];
    let mut told: Vec<String> = numbers
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    told.extend(counts.odd.iter().map(|(odd, number)| format!("{number} messages: {odd}")));
    (!told.is_empty()).then(|| told.join("; "))
}
