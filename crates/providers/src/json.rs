//! A strict, allocation-free reader of JSON. Everything on the request path is read with it, once:
//! it checks the grammar of RFC 8259 to the last byte and hands out spans of what was asked for.
//!
//! Decided: the text must be UTF-8 without a byte order mark and nest at most [`MAX_DEPTH`] deep.
//! Numbers of any size (`1e400`) and lone surrogates (`"\ud800"`, a truncated emoji) are legal by
//! the grammar, so they pass as they came, and the provider decides; a lone surrogate in a string
//! that we have to read ourselves makes that string unreadable.

use std::{borrow::Cow, fmt};

/// The deepest nesting that is read: what `serde_json` reads too.
pub const MAX_DEPTH: u8 = 127;

/// A range of bytes within a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// How many bytes.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it is of no bytes.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Why a text is no JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The offset of the byte that does not fit.
    pub at: usize,
    /// What was expected, or is wrong.
    pub what: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for JsonError {}

/// What a value is, told from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// A string as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'b> {
    /// What is between the quotes.
    raw: &'b str,
    escaped: bool,
    /// Where it stands, quotes included.
    pub(crate) span: Span,
}

impl<'b> Text<'b> {
    /// Bytes between the quotes.
    pub(crate) fn len(self) -> usize {
        self.raw.len()
    }

    pub(crate) fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// What is between the quotes, escapes and all.
    pub(crate) fn raw(self) -> &'b str {
        self.raw
    }

    /// What it means; `None` if it holds a lone surrogate.
    pub(crate) fn decoded(self) -> Option<Cow<'b, str>> {
        if self.escaped {
            unescape(self.raw).map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(self.raw))
        }
    }

    /// What it means, with a replacement character for whatever means nothing.
    pub(crate) fn readable(self) -> Cow<'b, str> {
        if self.escaped { Cow::Owned(readable(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// Whether it means `other`.
    pub(crate) fn is(self, other: &str) -> bool {
        if self.escaped {
            unescape(self.raw).is_some_and(|text| text == other)
        } else {
            self.raw == other
        }
    }
}

/// Reads a text from front to back. Every method that reads a value leaves the reader behind it.
pub(crate) struct Reader<'b> {
    text: &'b str,
    at: usize,
    depth: u8,
}

type Read<T> = Result<T, JsonError>;

impl<'b> Reader<'b> {
    /// Begins at the first byte; the text must be UTF-8.
    pub(crate) fn new(bytes: &'b [u8]) -> Read<Self> {
        let text = std::str::from_utf8(bytes)
            .map_err(|e| JsonError { at: e.valid_up_to(), what: "not UTF-8" })?;
        if text.starts_with('\u{feff}') {
            return Err(JsonError { at: 0, what: "a byte order mark before the JSON" });
        }
        Ok(Self { text, at: 0, depth: 0 })
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fail<T>(&self, what: &'static str) -> Read<T> {
        let what = if self.at == self.text.len() { "the JSON ends too early" } else { what };
        Err(JsonError { at: self.at, what })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// The offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What the next value is.
    pub(crate) fn peek(&mut self) -> Read<Kind> {
        self.space();
        match self.byte() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => self.fail("expected a value"),
        }
    }

    /// Makes sure that nothing follows.
    pub(crate) fn end(&mut self) -> Read<()> {
        self.space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            self.fail("text after the end of the JSON")
        }
    }

    fn descend(&mut self) -> Read<()> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError { at: self.at, what: "nested deeper than 127 levels" });
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Reads an object; `member` is given each key and must read the value.
    pub(crate) fn object<E: From<JsonError>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'b>) -> Result<(), E>,
    ) -> Result<Span, E> {
        self.space();
        let start = self.at;
        if self.byte() != Some(b'{') {
            return Ok(self.fail("expected an object")?);
        }
        self.descend()?;
        self.space();
        if self.byte() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.space();
                if self.byte() != Some(b'"') {
                    return Ok(self.fail("expected a member's name in quotes")?);
                }
                let key = self.string()?;
                self.space();
                if self.byte() != Some(b':') {
                    return Ok(self.fail("expected a colon")?);
                }
                self.at += 1;
                member(self, key)?;
                self.space();
                match self.byte() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break self.at += 1,
                    _ => return Ok(self.fail("expected a comma or the end of the object")?),
                }
            }
        }
        self.depth -= 1;
        Ok(Span { start, end: self.at })
    }

    /// Reads an array; `item` must read each value.
    pub(crate) fn array<E: From<JsonError>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<Span, E> {
        self.space();
        let start = self.at;
        if self.byte() != Some(b'[') {
            return Ok(self.fail("expected an array")?);
        }
        self.descend()?;
        self.space();
        if self.byte() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                item(self)?;
                self.space();
                match self.byte() {
                    Some(b',') => self.at += 1,
                    Some(b']') => break self.at += 1,
                    _ => return Ok(self.fail("expected a comma or the end of the array")?),
                }
            }
        }
        self.depth -= 1;
        Ok(Span { start, end: self.at })
    }

    /// Reads a string.
    pub(crate) fn string(&mut self) -> Read<Text<'b>> {
        self.space();
        if self.byte() != Some(b'"') {
            return self.fail("expected a string");
        }
        let bytes = self.text.as_bytes();
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain(&bytes[self.at..]);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    match self.byte() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            self.at += 1;
                        }
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.byte().is_some_and(|b| b.is_ascii_hexdigit()) {
                                    return self.fail("expected four hexadecimal digits");
                                }
                                self.at += 1;
                            }
                        }
                        _ => return self.fail("an unknown escape in a string"),
                    }
                }
                Some(_) => return self.fail("a control character in a string"),
                None => return self.fail(""),
            }
        }
        self.at += 1;
        let span = Span { start, end: self.at };
        Ok(Text { raw: &self.text[start + 1..self.at - 1], escaped, span })
    }

    /// Reads a number, as it stands.
    pub(crate) fn number(&mut self) -> Read<(&'b str, Span)> {
        self.space();
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.fail("expected a digit"),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.at_digit()?;
            self.digits();
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.at_digit()?;
            self.digits();
        }
        Ok((&self.text[start..self.at], Span { start, end: self.at }))
    }

    fn at_digit(&self) -> Read<()> {
        if self.byte().is_some_and(|b| b.is_ascii_digit()) {
            Ok(())
        } else {
            self.fail("expected a digit")
        }
    }

    fn digits(&mut self) {
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// Reads `true`, `false` or `null`; null is `None`.
    pub(crate) fn literal(&mut self) -> Read<(Option<bool>, Span)> {
        self.space();
        let start = self.at;
        for (name, value) in [("true", Some(true)), ("false", Some(false)), ("null", None)] {
            if self.text.as_bytes()[start..].starts_with(name.as_bytes()) {
                self.at += name.len();
                return Ok((value, Span { start, end: self.at }));
            }
        }
        self.fail("expected a value")
    }

    /// Reads a value of any kind.
    pub(crate) fn skip(&mut self) -> Read<Span> {
        match self.peek()? {
            Kind::Object => self.object(|r, _| r.skip().map(drop)),
            Kind::Array => self.array(|r| r.skip().map(drop)),
            Kind::String => Ok(self.string()?.span),
            Kind::Number => Ok(self.number()?.1),
            Kind::Bool | Kind::Null => Ok(self.literal()?.1),
        }
    }

    /// Reads a value of any kind; a string is given.
    pub(crate) fn maybe_string(&mut self) -> Read<Option<Text<'b>>> {
        if self.peek()? == Kind::String {
            self.string().map(Some)
        } else {
            self.skip().map(|_| None)
        }
    }

    /// Reads a value of any kind; a whole number that is not negative is given.
    pub(crate) fn maybe_u64(&mut self) -> Read<Option<u64>> {
        if self.peek()? == Kind::Number {
            Ok(self.number()?.0.parse().ok())
        } else {
            self.skip().map(|_| None)
        }
    }

    /// Reads a value of any kind and says whether it is something: no null, no false, no empty
    /// string, array or object.
    pub(crate) fn filled(&mut self) -> Read<bool> {
        let mut filled = false;
        match self.peek()? {
            Kind::Object => drop(self.object(|r, _| {
                filled = true;
                r.skip().map(drop)
            })?),
            Kind::Array => drop(self.array(|r| {
                filled = true;
                r.skip().map(drop)
            })?),
            Kind::String => filled = !self.string()?.is_empty(),
            Kind::Number => filled = !self.number()?.0.is_empty(),
            Kind::Bool | Kind::Null => filled = self.literal()?.0 == Some(true),
        }
        Ok(filled)
    }
}

/// How many bytes of a string are neither quote, backslash nor control, eight at a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|c| <[u8; 8]>::try_from(c).ok()) {
        let word = u64::from_le_bytes(chunk);
        // The high bit of a byte of `x.wrapping_sub(ONES) & !x` is set where the byte of x is 0; a
        // borrow can only set higher ones falsely, and the lowest is what counts.
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        let found = (quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|b| matches!(b, b'"' | b'\\' | ..0x20)).unwrap_or(rest.len())
}

/// What a string with escapes means; the grammar was checked before.
fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (char, used) = escape(&rest.as_bytes()[at..])?;
        out.push(char);
        rest = &rest[at + used..];
    }
    out.push_str(rest);
    Some(out)
}

/// What stands between quotes, or a part of it, with a replacement character for every escape that
/// means nothing.
pub(crate) fn readable(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let bytes = &rest.as_bytes()[at..];
        // A lone surrogate has six bytes, what was cut off at its end as many as are left.
        let lost = || (char::REPLACEMENT_CHARACTER, if bytes.len() >= 6 { 6 } else { bytes.len() });
        let (char, used) = escape(bytes).unwrap_or_else(lost);
        out.push(char);
        rest = rest.get(at + used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The character of an escape, and how many bytes it takes.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let char = match *bytes.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex(bytes)?;
            if !(0xd800..0xe000).contains(&first) {
                return Some((char::from_u32(first)?, 6));
            }
            let second = bytes.get(6..).filter(|b| b.starts_with(b"\\u")).and_then(hex)?;
            let both = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
            let mut decoded = char::decode_utf16(both);
            let char = decoded.next()?.ok()?;
            return decoded.next().is_none().then_some((char, 12));
        }
        other => char::from(other),
    };
    Some((char, 2))
}

fn hex(bytes: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(bytes.get(2..6)?).ok()?, 16).ok()
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
