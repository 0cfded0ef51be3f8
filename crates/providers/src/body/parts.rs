//! The messages, items and parts of a request: what they need of a model, how much they hold, and
//! what of them lives at one provider.

use routing::{Capability, Endpoint};

use super::Scan;
use crate::{
    amount::{AUDIO_TOKENS, IMAGE_TOKENS},
    json::{JsonError, Kind, Reader, Span},
};

/// Where the bytes of a part are.
struct Source {
    /// How many they are, in base64.
    bytes: u64,
    /// They are text, and counted.
    plain: bool,
}

impl Scan {
    /// Reads each item of a list; anything else is for the provider to refuse.
    pub(super) fn list(
        &mut self,
        r: &mut Reader<'_>,
        mut item: impl FnMut(&mut Self, &mut Reader<'_>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if r.peek()? == Kind::Array {
            r.array(|r| item(self, r)).map(drop)
        } else {
            r.skip().map(drop)
        }
    }

    pub(super) fn messages(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        let mut before: Option<Span> = None;
        let mut first = None;
        self.list(r, |scan, r| {
            let (span, user) = scan.message(r)?;
            if first.is_none() {
                if user {
                    first = Some(span);
                } else {
                    before = Some(Span { start: before.map_or(span.start, |b| b.start), ..span });
                }
            }
            Ok(())
        })?;
        // What is said to the model beside its messages comes before them.
        self.body.opening[0] = self.body.opening[0].or(before);
        self.body.opening[2] = first;
        Ok(())
    }

    /// Reads a message; says where it stands, and whether it is the user's.
    fn message(&mut self, r: &mut Reader<'_>) -> Result<(Span, bool), JsonError> {
        if r.peek()? != Kind::Object {
            return r.skip().map(|span| (span, false));
        }
        let mut user = false;
        let span = r.object(|r, key| {
            let kind = r.peek()?;
            // Images are what a model made, sent back to it; outputs what a tool gave.
            if kind == Kind::Array && matches!(key.raw(), "content" | "images" | "output") {
                return self.list(r, Self::part);
            }
            if kind == Kind::String && key.is("type") {
                let text = r.string()?;
                self.body.prompt.text_bytes += text.len() as u64;
                if self.endpoint == Endpoint::Responses {
                    if text.is("item_reference") {
                        self.bind("item_reference");
                    } else if text.is("compaction") {
                        self.bind("compaction");
                    }
                }
                return Ok(());
            }
            // What nobody but its maker can read.
            if kind == Kind::String && key.is("encrypted_content") {
                return r.skip().map(drop);
            }
            if kind == Kind::String && key.is("role") {
                let role = r.string()?;
                user = role.is("user");
                self.body.prompt.text_bytes += role.len() as u64;
                return Ok(());
            }
            self.text(r)
        })?;
        Ok((span, user))
    }

    pub(super) fn part(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        if r.peek()? != Kind::Object {
            return self.text(r);
        }
        let (mut source, mut document) = (None, false);
        r.object(|r, key| match key.raw() {
            "source" if r.peek()? == Kind::Object => {
                source = Some(self.source(r)?);
                Ok(())
            }
            // The result of a tool has parts of its own.
            "content" | "output" if r.peek()? == Kind::Array => self.list(r, Self::part),
            "file_id" => {
                if r.filled()? {
                    self.bind("file_id");
                }
                Ok(())
            }
            "file_data" | "file_url" => {
                self.need(Capability::Documents);
                let bytes = r.skip()?.len() as u64;
                self.body.prompt.add_document(bytes);
                Ok(())
            }
            "signature" | "encrypted_content" => r.skip().map(drop),
            "image_url" | "video_url" => {
                self.need(Capability::Vision);
                self.body.prompt.other_tokens += IMAGE_TOKENS;
                r.skip().map(drop)
            }
            "input_audio" => {
                self.need(Capability::Audio);
                self.body.prompt.other_tokens += AUDIO_TOKENS;
                r.skip().map(drop)
            }
            "file" => {
                self.need(Capability::Documents);
                let mut bound = false;
                let span = if r.peek()? == Kind::Object {
                    r.object(|r, key| {
                        if key.is("file_id") {
                            bound |= r.filled()?;
                            return Ok(());
                        }
                        r.skip().map(drop)
                    })?
                } else {
                    r.skip()?
                };
                if bound {
                    self.bind("file_id");
                }
                self.body.prompt.add_document(span.len() as u64);
                Ok(())
            }
            "type" => {
                let text = r.maybe_string()?;
                if let Some(text) = text {
                    self.body.prompt.text_bytes += text.len() as u64;
                    if text.is("image") {
                        self.need(Capability::Vision);
                    } else if text.is("document") {
                        document = true;
                    }
                }
                Ok(())
            }
            _ => self.text(r),
        })?;
        if let Some(Source { bytes, plain }) = source {
            if document && !plain {
                self.need(Capability::Documents);
                self.body.prompt.add_document(bytes);
            } else if !plain {
                self.body.prompt.other_tokens += IMAGE_TOKENS;
            }
        }
        Ok(())
    }

    /// Reads where the bytes of an image or a document of messages are. Text is counted as such.
    fn source(&mut self, r: &mut Reader<'_>) -> Result<Source, JsonError> {
        let mut plain = false;
        let (mut data, mut content) = (None, false);
        let span = r.object(|r, key| match key.raw() {
            "type" => {
                plain = r.maybe_string()?.is_some_and(|t| t.is("text") || t.is("content"));
                Ok(())
            }
            "file_id" => {
                if r.filled()? {
                    self.bind("file_id");
                }
                Ok(())
            }
            "data" if r.peek()? == Kind::String => {
                data = Some(r.string()?.len() as u64);
                Ok(())
            }
            "content" => {
                content = true;
                if r.peek()? == Kind::Array { self.list(r, Self::part) } else { self.text(r) }
            }
            _ => r.skip().map(drop),
        })?;
        if plain && !content {
            self.body.prompt.text_bytes += data.unwrap_or_default();
        }
        Ok(Source { bytes: data.unwrap_or(span.len() as u64), plain })
    }

    /// Counts the strings within a value as text, and its numbers as token ids.
    pub(super) fn text(&mut self, r: &mut Reader<'_>) -> Result<(), JsonError> {
        match r.peek()? {
            Kind::Object => r.object(|r, _| self.text(r)).map(drop),
            Kind::Array => r.array(|r| self.text(r)).map(drop),
            Kind::String => {
                self.body.prompt.add_string(r.string()?.raw());
                Ok(())
            }
            Kind::Number => {
                self.body.prompt.other_tokens += 1;
                r.number().map(drop)
            }
            Kind::Bool | Kind::Null => r.literal().map(drop),
        }
    }
}
