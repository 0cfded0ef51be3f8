//! OpenAI's completions, the older form: a prompt is one user message.

use bytes::Bytes;

use super::{
    Caller, DecodeError, Protocol, chat, data_frame, error_frame, fields::Fields, prefixed, usage,
};
use crate::{
    neutral::{Delta, Event, Finish, Kind, Message, Part, Reply, Request, Role, Start, Usage},
    rules::Field,
    tree::{Json, object},
};

/// Fields that are carried as they are.
const CARRIED: [(&str, Field); 8] = [
    ("seed", Field::Seed),
    ("presence_penalty", Field::PresencePenalty),
    ("frequency_penalty", Field::FrequencyPenalty),
    ("n", Field::N),
    ("logit_bias", Field::LogitBias),
    ("user", Field::User),
    ("metadata", Field::Metadata),
    ("service_tier", Field::ServiceTier),
];

/// Decodes the body of a completions request. What only this protocol can say is kept for the rules,
/// which refuse it everywhere.
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    let mut fields = Fields::of_body(body)?;
    let mut request = Request::new(Protocol::Completions);
    request.model = fields.string("model")?.unwrap_or_default();
    request.stream = fields.bool("stream")?.unwrap_or(false);
    if let Some(mut options) = fields.object("stream_options")? {
        request.stream_usage = options.bool("include_usage")?.unwrap_or(false);
        options.rest(&mut request);
    }
    let mut only = Json::empty();
    let text = match fields.take("prompt") {
        Json::String(text) => text,
        Json::Array(items) => match items.as_slice() {
            [Json::String(text)] => text.clone(),
            _ => {
                only.set("prompt", "several prompts or tokens");
                String::new()
            }
        },
        Json::Null => String::new(),
        _ => return Err(fields.wrong("prompt", "must be a string or an array.")),
    };
    for name in ["suffix", "logprobs"] {
        only.set_some(name, fields.some(name));
    }
    if fields.bool("echo")? == Some(true) {
        only.set("echo", true);
    }
    if let Some(best) = fields.count("best_of")?.filter(|n| *n > 1) {
        only.set("best_of", best);
    }
    if only.filled() {
        request.others.push((Field::CompletionsOnly, only));
    }
    let parts = vec![Part::text(text)];
    request.messages.push(Message { role: Role::User, late: false, name: None, parts });
    request.max_output = Some(fields.count("max_tokens")?.unwrap_or(16));
    request.temperature = fields.number("temperature")?;
    request.top_p = fields.number("top_p")?;
    request.top_k = fields.count("top_k")?;
    request.stop = fields.texts("stop")?;
    fields.carry(&CARRIED, &mut request);
    fields.rest(&mut request);
    Ok(request)
}

fn envelope(start: &Start, caller: &Caller, choices: Vec<Json>) -> Json {
    let mut out = object! {
        "id": prefixed("cmpl-", start.id.as_deref(), &caller.seed),
        "object": "text_completion",
        "created": start.created.unwrap_or(caller.now),
        "model": start.model.as_ref().unwrap_or(&caller.model),
        "choices": choices,
    };
    out.set_some("system_fingerprint", start.fingerprint.as_deref());
    out
}

/// The reason why a choice ended.
pub(super) fn finish_reason(finish: &Finish) -> &'static str {
    match chat::finish_reason(Some(finish), false) {
        // No tool is there to be called.
        "tool_calls" => "stop",
        other => other,
    }
}

fn choice(index: u32, text: &str, finish: Option<&Finish>) -> Json {
    let reason = finish.map(finish_reason);
    object! {"index": index, "text": text, "logprobs": Json::Null, "finish_reason": reason}
}

/// Encodes an answer.
pub(crate) fn encode(reply: &Reply, caller: &Caller) -> Json {
    let choices = (0_u32..).zip(&reply.choices).map(|(index, one)| {
        let texts = one.parts.iter().map(|part| match part {
            Part::Text { text, .. } | Part::Refusal(text) => text.as_str(),
            _ => "",
        });
        choice(
            index,
            &texts.collect::<String>(),
            Some(one.finish.as_ref().unwrap_or(&Finish::Stop)),
        )
    });
    let mut out = envelope(&reply.start, caller, choices.collect());
    out.set_some("usage", reply.usage.as_ref().map(usage::chat));
    out
}

/// Writes events as chunks.
#[derive(Debug)]
pub(crate) struct Writer {
    caller: Caller,
    start: Start,
    texts: Vec<(u32, u32)>,
    usage: Option<Usage>,
}

impl Writer {
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller, start: Start::default(), texts: Vec::new(), usage: None }
    }

    /// Writes an event.
    pub(crate) fn event(&mut self, event: &Event, out: &mut Vec<Bytes>) {
        let mut write =
            |choices| out.push(data_frame(&envelope(&self.start, &self.caller, choices)));
        match event {
            Event::Start(start) => self.start.clone_from(start),
            Event::Open { choice, part, kind: Kind::Text | Kind::Refusal } => {
                self.texts.push((*choice, *part));
            }
            Event::Delta { choice: index, part, delta: Delta::Text(text) }
                if self.texts.contains(&(*index, *part)) =>
            {
                write(vec![choice(*index, text, None)]);
            }
            Event::Finish { choice: index, reason } => {
                write(vec![choice(*index, "", Some(reason))]);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error(failure) => out.push(error_frame(failure, &self.caller)),
            Event::End => {
                if self.caller.stream_usage
                    && let Some(used) = &self.usage
                {
                    let chunk = envelope(&self.start, &self.caller, Vec::new());
                    out.push(data_frame(&chunk.with("usage", usage::chat(used))));
                }
                out.push(Bytes::from_static(b"data: [DONE]\n\n"));
            }
            Event::Open { .. } | Event::Delta { .. } | Event::Close { .. } => {}
        }
    }
}
