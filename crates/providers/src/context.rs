//! How providers say that a request exceeds a model's context window. One list for all dialects,
//! matched on codes and on the message alone: numbers and ids elsewhere would match by chance.

/// Codes and types.
pub(crate) const CODES: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];

/// Words of the message, in lower case. Each line is words that stand in this order.
pub(crate) const PATTERNS: [&[&str]; 18] = [
    &["prompt is too long"],
    &["max_tokens", "exceed context limit"],
    &["maximum context length"],
    &["exceeds the context window"],
    &["input token count", "exceeds the maximum"],
    &["input is too long for"],
    &["number of input tokens exceeds"],
    &["too many total text bytes"],
    &["longer than the model's context length"],
    &["exceeds the available context size"],
    &["context size has been exceeded"],
    &["greater than the context length"],
    &["tokens to keep from the initial prompt"],
    &["inputs tokens + max_new_tokens"],
    &["inputs", "tokens + `max_new_tokens`"],
    &["maximum prompt length"],
    &["no user query found in messages"],
    &["context window exceeds limit"],
];

/// Whether this says that the context is exceeded; `message` is in lower case.
pub(crate) fn exceeded(code: &str, kind: &str, message: &str) -> bool {
    CODES.iter().any(|c| *c == code || *c == kind)
        || PATTERNS.iter().any(|words| in_order(message, words))
        || too_large_for_ever(message)
}

fn in_order(message: &str, words: &[&str]) -> bool {
    let mut rest = message;
    words.iter().all(|word| {
        let found = rest.find(word);
        rest = found.map_or("", |at| &rest[at + word.len()..]);
        found.is_some()
    })
}

/// "Request too large ... Limit N, Requested M": where M > N, no wait helps.
fn too_large_for_ever(message: &str) -> bool {
    let number = |after: &str| {
        let at = message.find(after)? + after.len();
        let digits: String = message[at..]
            .trim_start_matches([':', ' '])
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ',')
            .filter(char::is_ascii_digit)
            .collect();
        digits.parse::<u64>().ok()
    };
    message.contains("request too large")
        && matches!((number("limit"), number("requested")), (Some(n), Some(m)) if m > n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_order() {
        assert!(exceeded("", "", "input length and `max_tokens` exceed context limit: 1 + 2 > 3"));
        assert!(exceeded("", "", "the input token count (1048577) exceeds the maximum number"));
        assert!(!exceeded("", "", "exceeds the maximum of the input token count"));
        assert!(exceeded("", "exceed_context_size_error", ""));
        assert!(!exceeded("", "", "model prod-200000 is not available"));
    }

    #[test]
    fn a_request_that_never_fits_is_told_from_a_rate_limit() {
        let text = "request too large for gpt-4o on tokens per min (tpm): limit 30000, requested";
        assert!(exceeded("", "", &format!("{text} 30001. the input must be reduced")));
        assert!(!exceeded("", "", &format!("{text} 29000. please try again")));
        assert!(!exceeded("", "", "rate limit reached: limit 10, used 9, requested 12"));
    }
}
