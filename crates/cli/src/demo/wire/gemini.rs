//! Gemini's generateContent, countTokens and embeddings, at its own API and on VertexAI. Members are
//! taken in camelCase and in snake_case, as Google's servers do. Source: Gemini's API reference.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Event, Form, Op, SSE, colon};
use crate::demo::{
    answer::{Answer, Finish, signature, words},
    ask::{Ask, Choice, Format, Talk, Tool, list, strings, text},
    embed,
    fault::Fault,
};

pub(super) const FORM: Form = Form { kind: SSE, whole, events };
/// Without `alt=sse` a stream is one array, written bit by bit.
pub(super) const ARRAY: Form = Form { kind: "application/json", whole, events: array };

/// What it signs its calls with.
const SIGNER: &str = "gemini";
/// What stands for a signature that a caller does not have.
const PLACEHOLDER: &str = "skip_thought_signature_validator";

/// What a request may have.
const KNOWN: &[&str] = &[
    "model",
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
    "store",
];

pub(super) fn place(path: &str) -> Option<(Op, Option<String>)> {
    if let Some((model, method)) = colon(path, "models/") {
        let op = match method {
            // Another maker's model on VertexAI.
            _ if path.contains("publishers/") && !path.contains("publishers/google/") => {
                return None;
            }
            "generateContent" => Op::Generate,
            "streamGenerateContent" => Op::StreamGenerate,
            "countTokens" => Op::ContentsCount,
            "embedContent" => Op::EmbedContent,
            "batchEmbedContents" => Op::BatchEmbed,
            "predict" => Op::Predict,
            _ => return None,
        };
        return Some((op, Some(model)));
    }
    matches!(path, "v1beta/models" | "models").then_some((Op::Models, None))
}

pub(super) fn models() -> Value {
    let methods = ["generateContent", "countTokens", "embedContent", "batchEmbedContents"];
    json!({"models": [{"name": "models/any", "displayName": "Any model",
        "supportedGenerationMethods": methods}]})
}

/// A member by its camelCase name, or by the same in snake_case.
fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    match &value[name] {
        Value::Null => &value[snake(name)],
        found => found,
    }
}

fn snake(name: &str) -> String {
    let letter = |c: char| {
        let mark = if c.is_ascii_uppercase() { "_" } else { "" };
        format!("{mark}{}", c.to_ascii_lowercase())
    };
    name.chars().map(letter).collect::<Vec<_>>().concat()
}

/// The number behind `gemini-`; a name without one is read as the newest.
fn version(model: &str) -> f32 {
    let after = model.split_once("gemini-").map(|(_, after)| after);
    let number = after.and_then(|a| a.split('-').next()).and_then(|n| n.parse().ok());
    number.unwrap_or(f32::INFINITY)
}

pub(super) fn ask(body: &Value, named: Option<&str>) -> Result<Ask, Fault> {
    let known = |name: &str| KNOWN.iter().any(|k| *k == name || snake(k) == name);
    let names = body.as_object().into_iter().flat_map(|o| o.keys());
    if let Some(name) = names.into_iter().find(|name| !known(name)) {
        let text =
            format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot find field.");
        return Err(Fault::invalid(text));
    }
    let model = named.unwrap_or_default().to_owned();
    let talk = talk(body, &model)?;
    let config = member(body, "generationConfig");
    let calling = member(member(body, "toolConfig"), "functionCallingConfig");
    let names = strings(member(calling, "allowedFunctionNames"));
    let declared = list(&body["tools"]).iter();
    let declared = declared.flat_map(|t| list(member(t, "functionDeclarations")));
    let mime = member(config, "responseMimeType");
    let schema = match member(config, "responseJsonSchema") {
        Value::Null => member(config, "responseSchema"),
        given => given,
    };
    let format = match schema {
        _ if mime != "application/json" => Format::Text,
        Value::Null => Format::Json(json!({"properties": {"answer": {"type": "string"}}})),
        given => Format::Json(given.clone()),
    };
    let thinking = member(config, "thinkingConfig");
    Ok(Ask {
        model,
        talk,
        tools: declared.map(tool).collect(),
        choice: match member(calling, "mode").as_str() {
            Some("NONE") => Choice::Never,
            Some("ANY") => Choice::Must(names),
            _ => Choice::Auto,
        },
        single: false,
        format,
        thinks: member(thinking, "includeThoughts") == &json!(true),
        limit: member(config, "maxOutputTokens").as_u64(),
        stops: strings(member(config, "stopSequences")),
    })
}

fn tool(tool: &Value) -> Tool {
    let schema = match member(tool, "parametersJsonSchema") {
        Value::Null => &tool["parameters"],
        given => given,
    };
    let empty = json!({"type": "object", "properties": {}});
    let schema = if schema.is_object() { schema.clone() } else { empty };
    Tool { name: tool["name"].as_str().unwrap_or_default().to_owned(), schema }
}

fn talk(body: &Value, model: &str) -> Result<Talk, Fault> {
    let contents = list(&body["contents"]);
    if contents.is_empty() {
        return Err(Fault::invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    signed(contents, model)?;
    let mut talk = Talk::default();
    talk.hears(&text(&member(body, "systemInstruction")["parts"]));
    let mut open = 0;
    for (n, content) in contents.iter().enumerate() {
        let parts = list(&content["parts"]);
        if parts.is_empty() {
            let text = format!(
                "* GenerateContentRequest.contents[{n}].parts: contents.parts must not be empty."
            );
            return Err(Fault::invalid(text));
        }
        let results = parts.iter().filter(|p| member(p, "functionResponse").is_object()).count();
        if open > 0 && results != open
            || open == 0 && results > 0
            || results > 0 && results < parts.len()
        {
            let text = "Please ensure that the number of function response parts is equal to the \
                        number of function call parts of the function call turn.";
            return Err(Fault::invalid(text));
        }
        match content["role"].as_str() {
            Some("model") => {
                talk.model();
                open = parts.iter().filter(|p| member(p, "functionCall").is_object()).count();
                if open > 0 && n == 0 {
                    let text = "Please ensure that function call turn comes immediately after a \
                                user turn or after a function response turn.";
                    return Err(Fault::invalid(text));
                }
                talk.hears(&text(&content["parts"]));
            }
            Some("user" | "function") | None => {
                open = 0;
                talk.user();
                parts.iter().try_for_each(|part| user(&mut talk, part))?;
            }
            Some(_) => {
                return Err(Fault::invalid("Please use a valid role: user, model."));
            }
        }
    }
    let ends = contents.last().is_some_and(|content| content["role"] == "model");
    if ends && version(model) >= 3.6 {
        return Err(Fault::invalid("Requests ending with a model turn are not supported."));
    }
    Ok(talk)
}

fn user(talk: &mut Talk, part: &Value) -> Result<(), Fault> {
    let result = member(part, "functionResponse");
    if result.is_object() {
        if result["name"].as_str().unwrap_or_default().is_empty() {
            return Err(Fault::invalid("function_response.name: Name cannot be empty."));
        }
        talk.images += list(&result["parts"]).len();
        // Gemini tells results by their place, not by ids.
        let _ = talk.gives("", result["response"].to_string());
        return Ok(());
    }
    let data = member(part, "inlineData");
    let data = if data.is_object() { data } else { member(part, "fileData") };
    let kind = member(data, "mimeType").as_str().unwrap_or_default();
    match kind.split('/').next() {
        Some("image") => talk.images += 1,
        Some("audio") => talk.sounds += 1,
        Some("application" | "text") => talk.documents += 1,
        _ => talk.says(part["text"].as_str().unwrap_or_default()),
    }
    Ok(())
}

/// Whether we signed that, in either alphabet of base64: Google's SDKs send it back in the other.
fn is_own(given: &str) -> bool {
    given.replace('-', "+").replace('_', "/") == signature(SIGNER, "call")
}

/// From Gemini 3 on the first call of each step of the current turn is signed.
fn signed(contents: &[Value], model: &str) -> Result<(), Fault> {
    let question = |content: &Value| {
        let says = |p: &Value| p["text"].is_string() && !member(p, "functionResponse").is_object();
        content["role"] != "model" && list(&content["parts"]).iter().any(says)
    };
    let current = contents.iter().rposition(question).map_or(0, |at| at + 1);
    for (n, content) in contents.iter().enumerate() {
        let calls =
            list(&content["parts"]).iter().filter(|p| member(p, "functionCall").is_object());
        for (place, part) in calls.enumerate() {
            match member(part, "thoughtSignature").as_str() {
                Some(given) if given == PLACEHOLDER || is_own(given) => {}
                Some(_) => return Err(Fault::invalid("Corrupted thought signature.")),
                None if place > 0 || n < current || version(model) < 3.0 => {}
                None => {
                    let text = format!(
                        "Function call is missing a thought_signature in functionCall parts. This \
                         is required for tools to work correctly, and missing thought_signature \
                         may lead to degraded model performance. Additional data, function call \
                         `default_api:{}` , position {}.",
                        member(part, "functionCall")["name"].as_str().unwrap_or_default(),
                        n + 1,
                    );
                    return Err(Fault::invalid(text));
                }
            }
        }
    }
    Ok(())
}

/// `countTokens`.
pub(super) fn count(body: &Value, named: Option<&str>) -> Result<Value, Fault> {
    let request = match member(body, "generateContentRequest") {
        Value::Null => body,
        given => given,
    };
    let tokens = ask(request, named)?.talk.tokens();
    let details = json!([{"modality": "TEXT", "tokenCount": tokens}]);
    Ok(json!({"totalTokens": tokens, "promptTokensDetails": details}))
}

fn values(request: &Value, model: &str) -> Value {
    let dimensions = member(request, "outputDimensionality").as_u64();
    json!({"values": embed::vector(model, &text(&request["content"]["parts"]), dimensions)})
}

/// `embedContent`.
pub(super) fn embed(body: &Value, named: Option<&str>) -> Result<Value, Fault> {
    if !body["content"].is_object() {
        return Err(Fault::invalid("* EmbedContentRequest.content: contents is not specified"));
    }
    Ok(json!({"embedding": values(body, named.unwrap_or_default())}))
}

/// `batchEmbedContents`.
pub(super) fn batch_embed(body: &Value, named: Option<&str>) -> Result<Value, Fault> {
    let model = named.unwrap_or_default();
    let requests = list(&body["requests"]);
    for request in requests {
        if request["model"] != json!(format!("models/{model}")) {
            let text = "* BatchEmbedContentsRequest.requests[0].model: model must match the URL";
            return Err(Fault::invalid(text));
        }
    }
    let all: Vec<Value> = requests.iter().map(|request| values(request, model)).collect();
    Ok(json!({ "embeddings": all }))
}

/// VertexAI's `predict` of embedding models.
pub(super) fn predict(body: &Value, named: Option<&str>) -> Result<Value, Fault> {
    let model = named.unwrap_or_default();
    let dimensions = member(&body["parameters"], "outputDimensionality").as_u64();
    let instances = list(&body["instances"]);
    if model.starts_with("gemini-embedding") && instances.len() > 1 {
        return Err(Fault::invalid("batch size too large: this model takes one instance"));
    }
    let one = |instance: &Value| {
        let content = text(&instance["content"]);
        let statistics =
            json!({"token_count": content.split_whitespace().count(), "truncated": false});
        let vector = embed::vector(model, &content, dimensions);
        json!({"embeddings": {"values": vector, "statistics": statistics}})
    };
    Ok(json!({"predictions": instances.iter().map(one).collect::<Vec<_>>()}))
}

fn chunk(answer: &Answer, parts: &[Value], finish: Option<&str>, written: usize) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    let mut usage = json!({
        "promptTokenCount": answer.input,
        "candidatesTokenCount": written,
        "totalTokenCount": answer.input + written + answer.thinking,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input}],
    });
    if answer.thinking > 0 {
        usage["thoughtsTokenCount"] = json!(answer.thinking);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": answer.model,
        "responseId": answer.id,
    })
}

fn finish(answer: &Answer) -> &'static str {
    match answer.finish {
        // Calls and stop sequences are no reasons of their own.
        Finish::Stop | Finish::StopSequence | Finish::Calls => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

fn calls(answer: &Answer) -> Vec<Value> {
    let part = |(n, call): (usize, &crate::demo::answer::Call)| {
        let function = json!({"name": call.name, "args": call.arguments, "id": call.id});
        let mut part = json!({ "functionCall": function });
        if n == 0 {
            part["thoughtSignature"] = json!(signature(SIGNER, "call"));
        }
        part
    };
    answer.calls.iter().enumerate().map(part).collect()
}

fn whole(_: &Value, answer: &Answer) -> Value {
    let mut parts = Vec::new();
    if let Some(thought) = &answer.thought {
        parts.push(json!({"text": thought, "thought": true}));
    }
    if !answer.text.is_empty() {
        parts.push(json!({"text": answer.text}));
    }
    parts.extend(calls(answer));
    chunk(answer, &parts, Some(finish(answer)), answer.output - answer.thinking)
}

fn chunks(answer: &Answer) -> Vec<Value> {
    let mut chunks = Vec::new();
    for word in answer.thought.iter().flat_map(|t| words(t)) {
        chunks.push(chunk(answer, &[json!({"text": word, "thought": true})], None, 0));
    }
    for (n, word) in words(&answer.text).enumerate() {
        chunks.push(chunk(answer, &[json!({ "text": word })], None, n + 1));
    }
    let all = answer.output - answer.thinking;
    for call in calls(answer) {
        chunks.push(chunk(answer, &[call], None, all));
    }
    chunks.push(chunk(answer, &[json!({"text": ""})], Some(finish(answer)), all));
    chunks
}

fn events(_: &Value, answer: &Answer) -> Vec<Event> {
    let chunks = chunks(answer);
    let last = chunks.len() - 1;
    // Google's servers end their lines with CR LF.
    let event = |(n, chunk): (usize, Value)| Event::of(n < last, format!("data: {chunk}\r\n\r\n"));
    chunks.into_iter().enumerate().map(event).collect()
}

fn array(_: &Value, answer: &Answer) -> Vec<Event> {
    let chunks = chunks(answer);
    let last = chunks.len() - 1;
    let event = |(n, chunk): (usize, Value)| {
        let (before, after) =
            (if n == 0 { "[" } else { ",\r\n" }, if n == last { "]" } else { "" });
        Event::of(n < last, format!("{before}{chunk}{after}"))
    };
    chunks.into_iter().enumerate().map(event).collect()
}

/// `{error: {code, message, status, details}}`.
pub(super) fn refusal(fault: &Fault) -> (StatusCode, HeaderMap, Value) {
    let (status, name) = match fault {
        Fault::Invalid { .. } | Fault::TooLarge => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
        Fault::NotFound(_) | Fault::Method => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Fault::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        Fault::Failing => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    };
    let mut error = json!({"code": status.as_u16(), "message": fault.message(), "status": name});
    if let Fault::RateLimited(wait) = fault {
        // The wait is in the body alone.
        let delay = format!("{}s", wait.as_secs_f64().ceil());
        let violation = json!({"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"});
        error["details"] = json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]);
    }
    (status, HeaderMap::new(), json!({ "error": error }))
}

/// An error in the middle of a stream.
pub(super) fn broken(text: &str) -> Bytes {
    let error = json!({"code": 503, "message": text, "status": "UNAVAILABLE"});
    Bytes::from(format!("data: {}\r\n\r\n", json!({ "error": error })))
}
