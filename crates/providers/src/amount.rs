//! How much a prompt or an answer holds, as far as it can be told without a tokenizer: bytes of
//! text, and tokens of what is no text. Tokens are estimated of it where a provider has not counted
//! them, before the call and where a stream broke off.

use crate::json::{JsonError, Kind, Reader};

/// Bytes of text that count as a token where nothing better is known.
pub const BYTES_PER_TOKEN: f64 = 4.0;
/// Tokens that an image counts.
pub(crate) const IMAGE_TOKENS: u64 = 1_000;
/// Tokens that a clip of audio counts.
pub(crate) const AUDIO_TOKENS: u64 = 1_000;
/// Bytes of base64 that count as a page of a document, and the tokens of a page.
const PAGE: (u64, u64) = (64 * 1024, 1_500);

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes of text; base64 data is not among them.
    pub text_bytes: u64,
    /// Tokens of what is no text: images, audio, pages, token ids.
    pub other_tokens: u64,
}

impl Amount {
    /// The estimated tokens, where so many bytes of text are one. A rate that is none counts as
    /// [`BYTES_PER_TOKEN`].
    pub fn tokens(self, bytes_per_token: f64) -> u64 {
        let rate = if bytes_per_token.is_finite() && bytes_per_token > 0.0 {
            bytes_per_token
        } else {
            BYTES_PER_TOKEN
        };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate of what fits a request's body, never negative"
        )]
        let text = (self.text_bytes as f64 / rate).ceil() as u64;
        text.saturating_add(self.other_tokens)
    }

    /// Whether there is nothing.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Takes in more.
    pub(crate) fn add(&mut self, more: Self) {
        self.text_bytes = self.text_bytes.saturating_add(more.text_bytes);
        self.other_tokens = self.other_tokens.saturating_add(more.other_tokens);
    }

    /// Takes in the text of a string, or the image that it holds as a data URL.
    pub(crate) fn add_string(&mut self, text: &str) {
        if is_data_url(text) {
            self.other_tokens += IMAGE_TOKENS;
        } else {
            self.text_bytes += text.len() as u64;
        }
    }

    /// Takes in a document of so many bytes of base64.
    pub(crate) fn add_document(&mut self, bytes: u64) {
        self.other_tokens += bytes.div_ceil(PAGE.0) * PAGE.1;
    }
}

/// Whether a string is base64 data with its media type before it.
fn is_data_url(text: &str) -> bool {
    text.starts_with("data:")
        && text.as_bytes()[..text.len().min(128)].windows(8).any(|part| part == b";base64,")
}

/// Members that name or carry something, and are no text of an answer.
const NO_TEXT: [&str; 7] = ["type", "id", "format", "signature", "data", "url", "encrypted"];

/// Reads a value of any kind of an answer: whether it is something, and how much text is in it.
pub(crate) fn said(r: &mut Reader<'_>) -> Result<(bool, Amount), JsonError> {
    let mut amount = Amount::default();
    let filled = match r.peek()? {
        Kind::String => {
            let text = r.string()?;
            amount.add_string(text.raw());
            !text.is_empty()
        }
        Kind::Object => {
            let mut filled = false;
            r.object(|r, key| {
                filled = true;
                if NO_TEXT.iter().any(|name| key.is(name)) {
                    return r.skip().map(drop);
                }
                amount.add(said(r)?.1);
                Ok::<(), JsonError>(())
            })?;
            filled
        }
        Kind::Array => {
            let mut filled = false;
            r.array(|r| {
                filled = true;
                amount.add(said(r)?.1);
                Ok::<(), JsonError>(())
            })?;
            filled
        }
        Kind::Number | Kind::Bool | Kind::Null => r.filled()?,
    };
    Ok((filled, amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_estimated_by_bytes_and_kind() {
        let mut amount = Amount::default();
        amount.add_string("four and a half tokens"); // 22 bytes
        assert_eq!(amount.tokens(BYTES_PER_TOKEN), 6);
        assert_eq!(amount.tokens(2.0), 11);
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(amount.tokens(odd), 6, "{odd}");
        }
        amount.add_string(&format!("data:image/png;base64,{}", "A".repeat(1 << 20)));
        assert_eq!(amount.tokens(2.0), 11 + IMAGE_TOKENS);
        amount.add_string("data: this is text");
        assert_eq!(amount.text_bytes, 22 + 18);
    }

    #[test]
    fn text_is_found_wherever_it_is_within_an_answer() {
        for (json, want) in [
            (r#""abc""#, (true, 3)),
            (r#""""#, (false, 0)),
            ("null", (false, 0)),
            ("[]", (false, 0)),
            (r#"[{"type":"thinking","text":"abcd","signature":"zzzz"},{"text":"e"}]"#, (true, 5)),
            (r#"{"id":"audio_1","data":"AAAA","transcript":"hi"}"#, (true, 2)),
        ] {
            let mut r = Reader::new(json.as_bytes()).unwrap();
            let (filled, amount) = said(&mut r).unwrap();
            assert_eq!((filled, amount.text_bytes), want, "{json}");
        }
    }
}
