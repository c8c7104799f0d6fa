//! The model's context: what a response reads, and what to do if that is too much.
//!
//! Items that leave the context stay in the conversation: no event tells of it, only the usage does.

use realtime_protocol::session_config::{Truncation, TruncationMode, TruncationRule};

use crate::connection::conversation::Conversation;
use crate::connection::usage::{Tokens, entry_tokens};

/// What a response reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// Instructions, tools, and the items in the context.
    pub(crate) tokens: Tokens,
    /// Whether items left it just now. Then nothing after the instructions is in the cache.
    pub(crate) was_cut: bool,
}

/// The conversation does not fit, and may not be cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooLong {
    pub(crate) tokens: u64,
    pub(crate) most: u64,
}

/// Drops the oldest items from the context until the rest fits. The newest always stays.
pub(crate) fn fit(
    conversation: &mut Conversation,
    instructions: Tokens,
    most: u64,
    truncation: Option<&Truncation>,
) -> Result<Context, TooLong> {
    let mut items = Tokens::default();
    for entry in conversation.iter().filter(|entry| !entry.is_forgotten) {
        items = items + entry_tokens(entry);
    }
    let (ratio, own_most) = match truncation {
        Some(Truncation::Rule(TruncationRule::RetentionRatio(rule))) => {
            let limits = rule.token_limits.value();
            (rule.retention_ratio.unwrap_or(1.0), limits.and_then(|limits| limits.post_instructions.value()))
        }
        _ => (1.0, None),
    };
    let room = most.saturating_sub(instructions.total()).min(own_most.copied().unwrap_or(u64::MAX));
    if items.total() <= room {
        return Ok(Context { tokens: instructions + items, was_cut: false });
    }
    if truncation == Some(&Truncation::Mode(TruncationMode::Disabled)) {
        return Err(TooLong { tokens: (instructions + items).total(), most });
    }
    let keep = room as f64 * ratio.clamp(0.0, 1.0);
    let mut in_context = conversation.iter_mut().filter(|entry| !entry.is_forgotten).peekable();
    while let Some(oldest) = in_context.next() {
        if items.total() as f64 <= keep || in_context.peek().is_none() {
            break;
        }
        oldest.is_forgotten = true;
        items = items - entry_tokens(oldest);
    }
    Ok(Context { tokens: instructions + items, was_cut: true })
}

/// Tokens that a model can read, as documented: its context without what is reserved for its answer.
pub(crate) fn most_read(model: &str) -> u64 {
    if is_second(model) { 128_000 - 4096 } else { 28_224 }
}

/// Returns whether it is `gpt-realtime-2` or later, and not a dated model of 2025.
pub(crate) fn is_second(model: &str) -> bool {
    let rest = model.strip_prefix("gpt-realtime-2");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_context_is_the_documented_one() {
        assert_eq!(most_read("gpt-realtime-2025-08-28"), 28_224);
        assert_eq!(most_read("gpt-realtime-2.1-mini"), 123_904);
    }
}
