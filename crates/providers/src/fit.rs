//! What a compatible server refuses, renames or wants otherwise, as edits of a body that is passed
//! through: each member of the body that breaks one of the server's rules
//! ([`dialect::quirks`](crate::dialect::quirks)) is left out, renamed, or written anew; every other
//! byte reaches the server as it came. A member within which nothing breaks a rule is not touched.

use bytes::Bytes;

use crate::{
    body::RequestBody,
    dialect::{
        cx::is_default,
        quirks::{ChoiceForms, EffortForm, PLAIN, Quirks, UNKNOWN},
    },
    edit::{Edits, MAX_EDITS, Rewrite, Rewritten, ask_usage},
    json::{JsonError, Reader, Span},
    protocol::Protocol,
    rules::{Action, Field, Refusal, Warning},
    tree::{Json, object},
};

mod messages;

/// A body for a server with peculiarities.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The body.
    pub body: Rewritten,
    /// What was adapted or dropped.
    pub warnings: Vec<Warning>,
}

/// The body for one candidate, a server of these peculiarities, in Chat or completions; `None` where
/// it would take more than [`MAX_EDITS`] edits, or one that only a translation can make: then the
/// request is to be translated, to the same dialect. A field that the server refuses and that decides
/// what the answer is filters the candidate.
pub fn fit(
    body: &Bytes,
    read: &RequestBody,
    to: &Rewrite,
    quirks: &'static Quirks,
) -> Result<Option<Fitted>, Refusal> {
    let Ok(mut plan) = Plan::read(body, read, to, quirks) else {
        // It was read before, so this does not happen.
        return Ok(None);
    };
    for at in 0..plan.members.len() {
        plan.member(at)?;
    }
    plan.absent();
    Ok(plan.write(body, read, to))
}

/// Whether a body may need to be fitted to a server: told from few of its bytes, so that most are not
/// read again. Of a server that is not known nothing is refused, and no request is translated.
pub fn applies(body: &[u8], quirks: &Quirks) -> bool {
    quirks.name != UNKNOWN.name || contains(body, b"\"developer\"")
}

/// What becomes of a member.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    Stays,
    Goes,
    Renamed(&'static str),
    Becomes(Bytes),
}

struct Member {
    name: String,
    /// From the quote before its name.
    key: Span,
    value: Span,
    fate: Fate,
}

struct Plan<'a> {
    body: &'a [u8],
    quirks: &'static Quirks,
    /// The row is one that is known: else only what every server may not know is changed.
    known: bool,
    model: String,
    stream: bool,
    most: Option<u64>,
    members: Vec<Member>,
    added: Vec<(&'static str, Bytes)>,
    warnings: Vec<Warning>,
    /// Edits do not do.
    beyond: bool,
}

impl<'a> Plan<'a> {
    fn read(
        body: &'a Bytes,
        read: &RequestBody,
        to: &Rewrite,
        quirks: &'static Quirks,
    ) -> Result<Self, JsonError> {
        let mut members = Vec::new();
        let mut reader = Reader::new(body)?;
        reader.object(|r, key| {
            r.peek()?;
            let value = r.skip()?;
            let name = key.decoded().unwrap_or_default().into_owned();
            members.push(Member { name, key: key.span, value, fate: Fate::Stays });
            Ok::<(), JsonError>(())
        })?;
        let model = Json::parse(&to.model).unwrap_or_default().text().to_ascii_lowercase();
        Ok(Self {
            body,
            quirks,
            known: quirks.name != UNKNOWN.name,
            model,
            stream: read.stream,
            most: to.max_output_tokens,
            members,
            added: Vec::new(),
            warnings: Vec::new(),
            beyond: false,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.name == name && member.fate != Fate::Goes)
    }

    fn bytes(&self, at: usize) -> &'a [u8] {
        let span = self.members[at].value;
        &self.body[span.start..span.end]
    }

    fn value(&self, at: usize) -> Json {
        Json::parse(self.bytes(at)).unwrap_or_default()
    }

    fn warn(&mut self, field: Field, action: Action, detail: &str) {
        let field = field.name(Protocol::Chat).to_owned();
        if !self.warnings.iter().any(|w| w.field == field && w.action == action) {
            self.warnings.push(Warning { field, action, detail: detail.to_owned() });
        }
    }

    fn refuse(field: Field, detail: &str) -> Refusal {
        Refusal {
            field: field.name(Protocol::Chat).to_owned(),
            detail: detail.to_owned(),
            not_portable: false,
        }
    }

    fn becomes(&mut self, at: usize, value: &Json) {
        self.members[at].fate = Fate::Becomes(Bytes::from(value.to_vec()));
    }

    /// The fate of one member.
    fn member(&mut self, at: usize) -> Result<(), Refusal> {
        let name = self.members[at].name.clone();
        if name == "messages" {
            messages::fit(self, at);
            return Ok(());
        }
        if !self.known {
            return Ok(());
        }
        // What a row shares with every other is only not known to be taken.
        let drops = self.quirks.dropped.iter().filter(|field| !PLAIN.dropped.contains(field));
        if let Some(field) = drops.copied().find(|f| f.name(Protocol::Chat) == name) {
            if !is_default(field, &self.value(at)) {
                self.warn(field, Action::Dropped, "This server refuses it.");
            }
            self.members[at].fate = Fate::Goes;
            return Ok(());
        }
        let refuses = |field: &&Field| field.name(Protocol::Chat) == name;
        if let Some(field) = self.quirks.refused.iter().find(refuses) {
            let value = self.value(at);
            if value.filled() && !is_default(*field, &value) {
                return Err(Self::refuse(*field, "This server refuses it."));
            }
        }
        let renames = self.quirks.renamed.iter().filter(|own| !PLAIN.renamed.contains(own));
        let renamed = renames.copied().find(|(f, _)| f.name(Protocol::Chat) == name);
        if let Some((_, other)) = renamed {
            let there = self.has(other);
            self.members[at].fate = if there { Fate::Goes } else { Fate::Renamed(other) };
            return Ok(());
        }
        match name.as_str() {
            "max_tokens" | "max_completion_tokens" if !self.quirks.takes_limit(&name) => {
                let there = self.has(self.quirks.max_tokens);
                let other = self.quirks.max_tokens;
                self.members[at].fate = if there { Fate::Goes } else { Fate::Renamed(other) };
            }
            "temperature" => {
                let most = self.quirks.temperature;
                if let Some(value) = self.value(at).f64().filter(|value| *value > most) {
                    let detail = format!("{value} is sent as {most}.");
                    self.warn(Field::Temperature, Action::Adapted, &detail);
                    self.becomes(at, &most.into());
                }
            }
            "stream_options" if !self.quirks.stream_options => self.members[at].fate = Fate::Goes,
            "tools" => self.tools(at),
            "tool_choice" => self.choice(at)?,
            "response_format"
                if self.quirks.object_as_schema
                    && self.value(at).get("type").text() == "json_object" =>
            {
                let schema = object! {"type": "object"};
                let inner = object! {"name": "answer", "schema": schema};
                let detail = "Sent as a schema of any object.";
                self.warn(Field::JsonObject, Action::Adapted, detail);
                let value = object! {"type": "json_schema", "json_schema": inner};
                self.becomes(at, &value);
            }
            "enable_thinking" if self.silent() && self.value(at).is_true() => {
                let detail = "The model thinks in streams only.";
                self.warn(Field::Effort, Action::Adapted, detail);
                self.becomes(at, &false.into());
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the model may not think here: it does so in streams only.
    fn silent(&self) -> bool {
        !self.stream && self.quirks.thinks_in_streams_only(&self.model)
    }

    fn tools(&mut self, at: usize) {
        let bytes = self.bytes(at);
        let strict = !self.quirks.strict && contains(bytes, b"\"strict\"");
        let cached = !self.quirks.cache_control && contains(bytes, b"\"cache_control\"");
        if !strict && !cached {
            return;
        }
        let Json::Array(mut tools) = self.value(at) else { return };
        for tool in &mut tools {
            if cached && tool.take("cache_control").filled() {
                self.warn(Field::CacheControl, Action::Dropped, "This server has no such field.");
            }
            let mut function = tool.get("function").clone();
            if strict && function.has("strict") {
                if function.take("strict").is_true() {
                    self.warn(Field::Strict, Action::Dropped, "This server refuses it.");
                }
                tool.set("function", function);
            }
        }
        self.becomes(at, &Json::Array(tools));
    }

    fn choice(&mut self, at: usize) -> Result<(), Refusal> {
        let value = self.value(at);
        let forced = match value.str() {
            Some(word) => matches!(word, "required" | "any"),
            None => value.is_object(),
        };
        if !forced {
            return Ok(());
        }
        let required = value.str().is_some();
        match self.quirks.choice {
            ChoiceForms::Any if required => self.becomes(at, &"any".into()),
            ChoiceForms::RequiredAsAuto if required => {
                let detail = "Sent as auto: the server refuses required.";
                self.warn(Field::ToolChoice, Action::Adapted, detail);
                self.becomes(at, &"auto".into());
            }
            ChoiceForms::AutoNone => {
                let why = "This server takes only auto and none.";
                return Err(Self::refuse(Field::ToolChoice, why));
            }
            ChoiceForms::NotThinking => {
                let detail = "This server forces no tool while it thinks.";
                self.warn(Field::ThinkingOff, Action::Adapted, detail);
                let off = object! {"type": "disabled"};
                if let Some(there) = self.members.iter().position(|m| m.name == "thinking") {
                    self.becomes(there, &off);
                } else if !self.added.iter().any(|(name, _)| *name == "thinking") {
                    self.added.push(("thinking", Bytes::from(off.to_vec())));
                }
            }
            ChoiceForms::All | ChoiceForms::Any | ChoiceForms::RequiredAsAuto => {}
        }
        Ok(())
    }

    /// Members that the server wants and the caller did not send.
    fn absent(&mut self) {
        if !self.known {
            return;
        }
        for (name, value) in self.quirks.added {
            if !self.has(name) {
                self.added.push((name, Bytes::from_static(value.as_bytes())));
            }
        }
        let tools = self.members.iter().position(|member| member.name == "tools");
        let tools = tools.is_some_and(|at| !self.value(at).items().is_empty());
        if tools && self.quirks.parallel_asked && !self.has("parallel_tool_calls") {
            self.added.push(("parallel_tool_calls", Bytes::from_static(b"true")));
        }
        let thinks = self.quirks.effort == EffortForm::EnableThinking;
        if thinks && self.silent() && !self.has("enable_thinking") {
            self.added.push(("enable_thinking", Bytes::from_static(b"false")));
        }
    }

    /// All of it as edits, if they are few enough.
    fn write(self, body: &Bytes, read: &RequestBody, to: &Rewrite) -> Option<Fitted> {
        if self.beyond {
            return None;
        }
        let mut edits = Edits::default();
        let first = self.members.first()?.key.start;
        // Ours come first, together: the body has a member behind them, the model's name.
        if !self.added.is_empty() {
            let mut text = Vec::new();
            for (name, value) in &self.added {
                text.extend_from_slice(format!("\"{name}\":").as_bytes());
                text.extend_from_slice(value);
                text.push(b',');
            }
            put(&mut edits, Span { start: first, end: first }, Bytes::from(text))?;
        }
        put(&mut edits, read.model, to.model.clone())?;
        // It stands behind the model's name, and so before what goes there.
        let ours = read.stream && to.ask_usage && self.quirks.stream_options;
        let asked = ours && ask_usage(&mut edits, read);
        let kept = self.members.iter().rposition(|member| member.fate != Fate::Goes)?;
        for (at, member) in self.members.iter().enumerate() {
            if let Fate::Renamed(name) = member.fate {
                put(&mut edits, member.key, Bytes::from(format!("\"{name}\"")))?;
            }
            match &member.fate {
                Fate::Stays | Fate::Renamed(_) => {
                    let cap = read.caps.iter().flatten().find(|cap| cap.span == member.value);
                    if let (Some(cap), Some(most)) = (cap, self.most)
                        && cap.tokens > most
                    {
                        put(&mut edits, cap.span, Bytes::from(most.to_string()))?;
                    }
                }
                Fate::Becomes(value) => put(&mut edits, member.value, value.clone())?,
                Fate::Goes if at < kept => {
                    let next = self.members[at + 1].key.start;
                    put(&mut edits, Span { start: member.key.start, end: next }, Bytes::new())?;
                }
                // What goes at the end goes with the comma before it, in one.
                Fate::Goes if at == kept + 1 => {
                    let start = self.members[kept].value.end;
                    let end = self.members.last()?.value.end;
                    put(&mut edits, Span { start, end }, Bytes::new())?;
                }
                Fate::Goes => {}
            }
        }
        let (segments, len) = edits.apply(body);
        let added = asked.then_some("stream_options").into_iter().collect();
        let body = Rewritten { segments, len, hide_usage: asked, added };
        Some(Fitted { body, warnings: self.warnings })
    }
}

/// One edit more, if there may be one.
fn put(edits: &mut Edits, span: Span, with: Bytes) -> Option<()> {
    (edits.len() < MAX_EDITS).then(|| edits.replace(span, with))
}

/// Whether these bytes stand in those.
fn contains(bytes: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(bytes, what).is_some()
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
