//! A whole answer, as chat completions write it.

use crate::{
    neutral::{CallKind, Choice, Citation, Finish, Part, Reasoning, Reply, Signature, Source},
    origin::{self, Maker, Origin},
    protocol::{Caller, Protocol, prefixed, usage},
    tree::{Json, object},
};

/// The reason why a choice ended, in Chat's words.
pub(in crate::protocol) fn finish_reason(finish: Option<&Finish>, old: bool) -> &'static str {
    match finish {
        None
        | Some(
            Finish::Stop
            | Finish::StopSequence(_)
            | Finish::Pause
            | Finish::Refusal { answered: true, .. },
        ) => "stop",
        Some(Finish::Length | Finish::ContextWindow) => "length",
        Some(Finish::ToolCalls) if old => "function_call",
        Some(Finish::ToolCalls) => "tool_calls",
        Some(Finish::Filter | Finish::Refusal { .. }) => "content_filter",
    }
}

/// Encodes an answer.
pub(crate) fn encode(reply: &Reply, caller: &Caller) -> Json {
    let choices: Json = reply
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let reason = finish_reason(choice.finish.as_ref(), caller.old_functions);
            object! {
                "index": index,
                "message": message(choice, caller),
                "logprobs": logprobs(&choice.logprobs),
                "finish_reason": reason,
            }
        })
        .collect();
    let start = &reply.start;
    let mut out = object! {
        "id": prefixed("chatcmpl-", start.id.as_deref(), &caller.seed),
        "object": "chat.completion",
        "created": start.created.unwrap_or(caller.now),
        "model": start.model.as_ref().unwrap_or(&caller.model),
        "choices": choices,
    };
    out.set_some("usage", reply.usage.as_ref().map(usage::chat));
    out.set_some("service_tier", usage::tier(Protocol::Chat, start.tier.as_deref()));
    out.set_some("system_fingerprint", start.fingerprint.as_deref());
    out
}

/// Log probabilities, or null.
pub(in crate::protocol) fn logprobs(tokens: &[Json]) -> Json {
    if tokens.is_empty() {
        return Json::Null;
    }
    object! {"content": tokens.to_vec(), "refusal": Json::Null}
}

fn message(choice: &Choice, caller: &Caller) -> Json {
    let mut content = None::<String>;
    let mut refusal = None::<String>;
    let mut reasoning = String::new();
    let (mut blocks, mut calls, mut annotations, mut images) = (vec![], vec![], vec![], vec![]);
    let mut proof = None;
    for part in &choice.parts {
        match part {
            Part::Text { text, citations, signature } => {
                let content = content.get_or_insert_with(String::new);
                let before = content.chars().count();
                annotations.extend(citations.iter().filter_map(|c| annotation(c, before, text)));
                content.push_str(text);
                proof = signature.as_ref().or(proof);
            }
            Part::Refusal(text) => refusal.get_or_insert_with(String::new).push_str(text),
            Part::Reasoning(part) => {
                reasoning.push_str(&part.text);
                blocks.extend(block(part, caller));
            }
            Part::Call(call) => {
                let mut item = object! {"id": call.id.as_str()};
                let (kind, inner) = match call.kind {
                    CallKind::Custom => (
                        "custom",
                        object! {"name": call.name.as_str(), "input": call.arguments.as_str()},
                    ),
                    CallKind::Function => (
                        "function",
                        object! {"name": call.name.as_str(), "arguments": arguments(&call.arguments)},
                    ),
                };
                item.set("type", kind);
                item.set(kind, inner);
                item.set_some("extra_content", call.signature.as_ref().map(|s| google(s, caller)));
                calls.push(item);
            }
            Part::Image(media) => images.push(image(media)),
            _ => {}
        }
    }
    let mut out = object! {"role": "assistant", "content": content, "refusal": refusal};
    if !reasoning.is_empty() {
        out.set("reasoning_content", reasoning);
    }
    if caller.old_functions {
        if let Some(mut call) = calls.into_iter().next() {
            out.set("function_call", call.take("function"));
        }
    } else if !calls.is_empty() {
        out.set("tool_calls", calls);
    }
    if !annotations.is_empty() {
        out.set("annotations", annotations);
    }
    if !images.is_empty() {
        out.set("images", images);
    }
    out.set_some("audio", choice.audio.clone());
    let mut extra = Json::Null;
    if !blocks.is_empty() {
        extra.set("anthropic", object! {"thinking_blocks": blocks});
    }
    if let Some(mut google) = proof.map(|s| google(s, caller)) {
        extra.set("google", google.take("google"));
    }
    out.set_some("extra_content", Some(extra).filter(Json::filled));
    out
}

/// The arguments of a call: of a call without any, an empty object.
pub(in crate::protocol) fn arguments(text: &str) -> &str {
    if text.is_empty() { "{}" } else { text }
}

/// A signature as it leaves: with the tag of its issuer.
pub(in crate::protocol) fn marked(signature: &Signature, caller: &Caller) -> String {
    match &signature.origin {
        Origin::Tag(tag) => origin::mark(tag, &signature.data),
        Origin::Maker(_) => origin::mark(&caller.tag, &signature.data),
    }
}

/// Gemini's signature, where Gemini's own endpoint for OpenAI's protocol puts it.
pub(super) fn google(signature: &Signature, caller: &Caller) -> Json {
    object! {"google": object! {"thought_signature": marked(signature, caller)}}
}

/// A thinking block of Claude; `None` where the thought is not Claude's, or unsigned.
pub(in crate::protocol) fn block(part: &Reasoning, caller: &Caller) -> Option<Json> {
    let signature = part.signature.as_ref()?;
    if signature.origin != Origin::Maker(Maker::Claude) {
        return None;
    }
    let proof = marked(signature, caller);
    Some(if part.redacted {
        object! {"type": "redacted_thinking", "data": proof}
    } else {
        object! {"type": "thinking", "thinking": part.text.as_str(), "signature": proof}
    })
}

/// A citation of the web, its place counted from the start of the whole content.
pub(in crate::protocol) fn annotation(
    citation: &Citation,
    before: usize,
    text: &str,
) -> Option<Json> {
    let Citation::Url { url, title, start, end, .. } = citation else { return None };
    let length = text.chars().count();
    Some(object! {
        "type": "url_citation",
        "url_citation": object! {
            "start_index": before + start.unwrap_or(0).min(length),
            "end_index": before + end.unwrap_or(length),
            "url": url.as_str(),
            "title": title.as_str(),
        },
    })
}

/// An image of an answer, as OpenRouter writes it.
pub(super) fn image(media: &crate::neutral::Media) -> Json {
    let url = match &media.source {
        Source::Base64(data) => format!("data:{};base64,{data}", media.media_type),
        Source::Url(url) => url.clone(),
    };
    object! {"type": "image_url", "image_url": object! {"url": url}}
}
