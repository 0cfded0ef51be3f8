//! A whole answer, as responses write it.

use crate::{
    neutral::{CallKind, Citation, Finish, Part, Reasoning, Reply, Signature, Start},
    protocol::{
        Caller, Protocol,
        chat::reply::{annotation, arguments, marked},
        prefixed, usage,
    },
    tree::{Json, object},
};

/// The status of an answer, and why it is incomplete.
pub(in crate::protocol) fn status(finish: Option<&Finish>) -> (&'static str, Option<&'static str>) {
    match finish {
        None
        | Some(
            Finish::Stop
            | Finish::StopSequence(_)
            | Finish::ToolCalls
            | Finish::Refusal { answered: true, .. },
        ) => ("completed", None),
        Some(Finish::Length | Finish::ContextWindow | Finish::Pause) => {
            ("incomplete", Some("max_output_tokens"))
        }
        Some(Finish::Filter | Finish::Refusal { .. }) => ("incomplete", Some("content_filter")),
    }
}

/// Encodes an answer: its first choice, since the protocol has but one.
pub(crate) fn encode(reply: &Reply, caller: &Caller) -> Json {
    let choice = reply.choices.first();
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    let mut output = Output::new(caller);
    for part in choice.into_iter().flat_map(|choice| &choice.parts) {
        output.part(part);
    }
    if let Some(choice) = choice {
        output.logprobs(&choice.logprobs);
    }
    let (status, why) = status(finish);
    let mut out = response(&reply.start, caller, status, why, output.items);
    out.set_some("usage", reply.usage.as_ref().map(usage::responses));
    out
}

/// A response object in this state.
pub(super) fn response(
    start: &Start,
    caller: &Caller,
    status: &str,
    why: Option<&str>,
    output: Vec<Json>,
) -> Json {
    let created = start.created.unwrap_or(caller.now);
    let mut out = object! {
        "id": prefixed("resp_", start.id.as_deref(), &caller.seed),
        "object": "response",
        "created_at": created,
        "status": status,
        "error": Json::Null,
        "incomplete_details": why.map(|why| object! {"reason": why}),
        "model": start.model.as_ref().unwrap_or(&caller.model),
        "output": output,
    };
    for (name, value) in caller.echo.members() {
        out.set(name, value);
    }
    out.set_some("service_tier", usage::tier(Protocol::Responses, start.tier.as_deref()));
    out
}

/// The id of an item: its kind, the answer, its place.
pub(super) fn item_id(kind: &str, caller: &Caller, index: usize) -> String {
    format!("{kind}_{}{index}", caller.seed)
}

struct Output<'a> {
    caller: &'a Caller,
    items: Vec<Json>,
}

impl<'a> Output<'a> {
    fn new(caller: &'a Caller) -> Self {
        Self { caller, items: Vec::new() }
    }

    fn part(&mut self, part: &Part) {
        let index = self.items.len();
        match part {
            Part::Text { text, citations, .. } if !text.is_empty() => {
                self.message(output_text(text, citations, &[]));
            }
            Part::Refusal(text) => self.message(object! {"type": "refusal", "refusal": text}),
            Part::Reasoning(part) => self.items.push(reasoning(part, self.caller, index)),
            Part::Call(call) => {
                if let Some(signature) = &call.signature {
                    self.items.push(carrier(signature, self.caller, index));
                }
                let index = self.items.len();
                let id = item_id(call_prefix(call.kind), self.caller, index);
                let mut item = call_item(call.kind, &id, &call.id, &call.name);
                item.set_some("namespace", call.namespace.as_deref());
                finish_call(&mut item, call.kind, &call.arguments);
                self.items.push(item);
            }
            _ => {}
        }
    }

    /// Adds content to the message at the end, or begins one.
    fn message(&mut self, content: Json) {
        let index = self.items.len();
        let last = self.items.last_mut().filter(|i| i.get("type").text() == "message");
        if let Some(last) = last {
            if let Json::Array(mut items) = last.take("content") {
                items.push(content);
                last.set("content", items);
            }
            return;
        }
        let id = item_id("msg", self.caller, index);
        self.items.push(message_item(&id, "completed", vec![content]));
    }

    /// Log probabilities stand on the first text.
    fn logprobs(&mut self, tokens: &[Json]) {
        if tokens.is_empty() {
            return;
        }
        for item in &mut self.items {
            if item.get("type").text() != "message" {
                continue;
            }
            let Json::Array(mut content) = item.take("content") else { continue };
            if let Some(text) = content.iter_mut().find(|c| c.has("logprobs")) {
                text.set("logprobs", tokens.to_vec());
            }
            item.set("content", content);
            return;
        }
    }
}

/// The item of a message.
pub(super) fn message_item(id: &str, status: &str, content: Vec<Json>) -> Json {
    object! {
        "id": id, "type": "message", "status": status, "role": "assistant", "content": content,
    }
}

/// Text, and what it cites.
pub(super) fn output_text(text: &str, citations: &[Citation], tokens: &[Json]) -> Json {
    let found: Json = citations.iter().filter_map(|c| annotation(c, 0, text)).map(flat).collect();
    object! {
        "type": "output_text", "text": text, "annotations": found, "logprobs": tokens.to_vec(),
    }
}

/// Chat nests the members of a citation; here they are flat.
pub(super) fn flat(mut annotation: Json) -> Json {
    let mut out = object! {"type": "url_citation"};
    for (name, value) in annotation.take("url_citation").members() {
        out.set(name, value);
    }
    out
}

/// The item of a thought.
pub(super) fn reasoning(part: &Reasoning, caller: &Caller, index: usize) -> Json {
    let id = part.id.clone().unwrap_or_else(|| item_id("rs", caller, index));
    let summary = if part.text.is_empty() {
        Vec::new()
    } else {
        vec![object! {"type": "summary_text", "text": part.text.as_str()}]
    };
    let mut out = object! {"id": id, "type": "reasoning", "summary": summary};
    out.set_some("encrypted_content", part.signature.as_ref().map(|s| marked(s, caller)));
    out
}

/// Gemini's signature on a call has no place in its item: a reasoning item before it carries it.
pub(super) fn carrier(signature: &Signature, caller: &Caller, index: usize) -> Json {
    let part = Reasoning { signature: Some(signature.clone()), ..Reasoning::default() };
    reasoning(&part, caller, index)
}

/// The prefix of a call's id.
pub(super) fn call_prefix(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Function => "fc",
        CallKind::Custom => "ctc",
    }
}

/// The item of a call that begins.
pub(super) fn call_item(kind: CallKind, id: &str, call_id: &str, name: &str) -> Json {
    match kind {
        CallKind::Function => object! {
            "id": id, "type": "function_call", "status": "in_progress", "call_id": call_id,
            "name": name, "arguments": "",
        },
        CallKind::Custom => object! {
            "id": id, "type": "custom_tool_call", "status": "in_progress", "call_id": call_id,
            "name": name, "input": "",
        },
    }
}

/// Ends the item of a call.
pub(super) fn finish_call(item: &mut Json, kind: CallKind, text: &str) {
    item.set("status", "completed");
    match kind {
        CallKind::Function => item.set("arguments", arguments(text)),
        CallKind::Custom => item.set("input", text),
    }
}
