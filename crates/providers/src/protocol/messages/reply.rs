//! A whole answer, as messages write it.

use crate::{
    neutral::{Call, Citation, Finish, Part, Reasoning, Reply},
    protocol::{
        Caller, Protocol,
        chat::reply::{arguments, marked},
        prefixed, usage,
    },
    tree::{Json, object},
};

/// The reason, the stop sequence and the details of the end of an answer.
pub(in crate::protocol) fn stop(finish: Option<&Finish>) -> Json {
    let (reason, sequence, details) = match finish {
        None | Some(Finish::Stop) => ("end_turn", None, None),
        Some(Finish::StopSequence(sequence)) => ("stop_sequence", sequence.as_deref(), None),
        Some(Finish::Length) => ("max_tokens", None, None),
        Some(Finish::ContextWindow) => ("model_context_window_exceeded", None, None),
        Some(Finish::ToolCalls) => ("tool_use", None, None),
        Some(Finish::Pause) => ("pause_turn", None, None),
        Some(Finish::Filter) => ("refusal", None, Some((None, None))),
        Some(Finish::Refusal { category, explanation, .. }) => {
            ("refusal", None, Some((category.as_deref(), explanation.as_deref())))
        }
    };
    let details = details.map(|(category, explanation)| {
        const KNOWN: [&str; 5] =
            ["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"];
        let category = category.filter(|category| KNOWN.contains(category));
        object! {"type": "refusal", "category": category, "explanation": explanation}
    });
    let mut out = object! {"stop_reason": reason, "stop_sequence": sequence};
    out.set_some("stop_details", details);
    out
}

/// Encodes an answer: its first choice, since the protocol has but one.
pub(crate) fn encode(reply: &Reply, caller: &Caller) -> Json {
    let start = &reply.start;
    let choice = reply.choices.first();
    let mut content = Vec::new();
    for part in choice.into_iter().flat_map(|choice| &choice.parts) {
        blocks(part, caller, &mut content);
    }
    let mut out = object! {
        "id": prefixed("msg_", start.id.as_deref(), &caller.seed),
        "type": "message",
        "role": "assistant",
        "model": start.model.as_ref().unwrap_or(&caller.model),
        "content": content,
    };
    for (name, value) in stop(choice.and_then(|choice| choice.finish.as_ref())).members() {
        out.set(name, value);
    }
    let mut used = usage::messages(&usage::of_reply(reply, caller.estimate));
    used.set_some("service_tier", usage::tier(Protocol::Messages, start.tier.as_deref()));
    out.set("usage", used);
    out
}

fn blocks(part: &Part, caller: &Caller, out: &mut Vec<Json>) {
    match part {
        Part::Text { text, citations, .. } => {
            if text.is_empty() {
                return;
            }
            let mut block = object! {"type": "text", "text": text.as_str()};
            if !citations.is_empty() {
                block.set("citations", citations.iter().map(citation).collect::<Json>());
            }
            out.push(block);
        }
        Part::Refusal(text) => out.push(object! {"type": "text", "text": text.as_str()}),
        Part::Reasoning(part) => out.push(thinking(part, caller)),
        Part::Call(call) => {
            out.extend(carrier(call, caller));
            out.push(object! {
                "type": "tool_use",
                "id": call.id.as_str(),
                "name": call.name.as_str(),
                "input": input(&call.arguments),
            });
        }
        _ => {}
    }
}

/// The input of a call: what is no JSON object is wrapped.
fn input(text: &str) -> Json {
    match Json::parse(arguments(text).as_bytes()) {
        Ok(value @ Json::Object(_)) => value,
        _ => object! {"_raw": text},
    }
}

/// A thinking block; the signature is empty where there is none.
pub(super) fn thinking(part: &Reasoning, caller: &Caller) -> Json {
    let proof = part.signature.as_ref().map(|s| marked(s, caller)).unwrap_or_default();
    if part.redacted {
        object! {"type": "redacted_thinking", "data": proof}
    } else {
        object! {"type": "thinking", "thinking": part.text.as_str(), "signature": proof}
    }
}

/// Gemini's signature on a call has no place in a `tool_use`: an empty thinking block before it
/// carries it.
pub(super) fn carrier(call: &Call, caller: &Caller) -> Option<Json> {
    let signature = call.signature.clone()?;
    let part = Reasoning { signature: Some(signature), ..Reasoning::default() };
    Some(thinking(&part, caller))
}

/// A citation.
pub(super) fn citation(citation: &Citation) -> Json {
    match citation {
        Citation::Document(value) => value.clone(),
        Citation::Url { url, title, quote, .. } => object! {
            "type": "web_search_result_location",
            "url": url.as_str(),
            "title": title.as_str(),
            "cited_text": quote.as_str(),
            "encrypted_index": "",
        },
    }
}
