//! Counting the tokens of a request in Anthropic's protocol (`/v1/messages/count_tokens`): asked of
//! whichever provider counts, in its own form, and estimated where none does. What is counted is the
//! request as it would be sent: the encoders of requests write it, and what counting does not take
//! is left out.
//!
//! Sources of the forms: Anthropic's `MessageCountTokensParams`; OpenAI's `responses/input_tokens`;
//! Gemini's `models.countTokens`, on VertexAI too; Bedrock's `CountTokens` (Claude's models only,
//! named without a region).

use bytes::Bytes;
use routing::OutcomeClass;

use crate::{
    amount::{AUDIO_TOKENS, Amount, IMAGE_TOKENS},
    dialect::{Candidate, Dialect, Encoded, Host, encode as encode_request, error_within},
    failure::Failure,
    family::Family,
    neutral::{Document, Format, Part, Request, Source, ToolKind},
    rules::Refusal,
    tree::{Json, object},
};

/// How the tokens of a request are counted.
#[derive(Clone, Debug)]
pub enum Count {
    /// The provider is asked; [`answer`] reads what it says.
    Ask(Box<Encoded>),
    /// The provider does not count: [`estimate`] does, and the metadata say so.
    Estimate,
}

/// Members of Anthropic's form; what only sampling needs is none of them.
const ANTHROPIC: [&str; 9] = [
    "model",
    "anthropic_version",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
];
const OPENAI: [&str; 8] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "parallel_tool_calls",
];
const VERTEX: [&str; 4] = ["contents", "systemInstruction", "tools", "generationConfig"];
const BEDROCK: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];
/// Regions before a model's id on Bedrock: profiles that spread requests. Counting takes the model.
const PROFILES: [&str; 8] = ["us.", "us-gov.", "eu.", "apac.", "jp.", "au.", "ca.", "global."];

/// Encodes the question for a candidate, or says which field of the request it cannot express.
/// `request` is one that [`protocol::decode`](crate::protocol::decode) read as Messages.
pub fn encode(request: &Request, to: &Candidate<'_>) -> Result<Count, Refusal> {
    let to = match to.dialect {
        Dialect::OpenAiChat if to.quirks.is_some() => return Ok(Count::Estimate),
        Dialect::Bedrock if !matches!(to.family, Family::Claude(_)) => return Ok(Count::Estimate),
        // The chat endpoint of OpenAI does not count; the newer one does, for every model.
        Dialect::OpenAiChat => Candidate { dialect: Dialect::OpenAiResponses, ..to.clone() },
        _ => to.clone(),
    };
    let mut request = request.clone();
    request.stream = false;
    request.max_output = None;
    let mut encoded = encode_request(&request, &to)?;
    let whole = Json::parse(&encoded.body).unwrap_or_default();
    let model = to.model.trim_start_matches("models/");
    let body = match to.dialect {
        Dialect::Anthropic => {
            let mut body = only(whole, &ANTHROPIC);
            if to.host == Host::Vertex {
                // The path names no model there.
                body.set("model", to.model);
                "models/count-tokens:rawPredict".clone_into(&mut encoded.path);
            } else {
                "messages/count_tokens".clone_into(&mut encoded.path);
            }
            body
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            "responses/input_tokens".clone_into(&mut encoded.path);
            only(whole, &OPENAI)
        }
        Dialect::Gemini => {
            encoded.path = format!("models/{model}:countTokens");
            if to.host == Host::Vertex {
                only(whole, &VERTEX)
            } else {
                let named = object! {"model": format!("models/{model}")};
                let all = whole.members().iter();
                let inner = all.fold(named, |inner, (name, value)| inner.with(name, value));
                object! {"generateContentRequest": inner}
            }
        }
        Dialect::Bedrock => {
            let bare = PROFILES.iter().find_map(|region| to.model.strip_prefix(region));
            let model = crate::address::segment(bare.unwrap_or(to.model));
            encoded.path = format!("model/{model}/count-tokens");
            object! {"input": object! {"converse": only(whole, &BEDROCK)}}
        }
    };
    encoded.optional.retain(|name| body.has(name));
    encoded.body = Bytes::from(body.to_vec());
    Ok(Count::Ask(Box::new(encoded)))
}

/// The object with these members only.
fn only(whole: Json, names: &[&str]) -> Json {
    let Json::Object(mut members) = whole else { return whole };
    members.retain(|(name, _)| names.contains(&name.as_str()));
    Json::Object(members)
}

/// The tokens that a provider counted, from the body of its answer with a status of success.
pub fn answer(from: &Candidate<'_>, body: &[u8]) -> Result<u64, Failure> {
    let value = Json::parse(body.trim_ascii()).map_err(|error| {
        Failure::invalid(format!(
            "The provider's answer is not the JSON that it should be: {error}"
        ))
    })?;
    let count = match from.dialect {
        Dialect::Gemini => value.get("totalTokens"),
        Dialect::Bedrock => value.get("inputTokens"),
        Dialect::Anthropic | Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            value.get("input_tokens")
        }
    };
    if let Some(count) = count.u64() {
        return Ok(count);
    }
    let failure = error_within(from, &value);
    // Only what names an error is one; anything else is an answer without its number.
    if value.get("error").filled() || failure.class != OutcomeClass::InvalidRequest {
        return Err(failure);
    }
    Err(Failure::invalid("The provider's answer holds no count of tokens."))
}

/// The answer for the caller.
pub fn write(tokens: u64) -> Bytes {
    Bytes::from(object! {"input_tokens": tokens}.to_vec())
}

/// How much a request holds: an estimate of its tokens, by the bytes of its texts
/// ([`Amount::tokens`]) and by a number for each image, clip and page.
pub fn estimate(request: &Request) -> Amount {
    let mut amount = Amount::default();
    for message in &request.messages {
        message.parts.iter().for_each(|part| part_of(part, &mut amount));
    }
    for tool in &request.tools {
        text(&tool.name, &mut amount);
        text(&tool.description, &mut amount);
        let (ToolKind::Function(form) | ToolKind::Custom(form) | ToolKind::Hosted(form)) =
            &tool.kind;
        text(&form.to_text(), &mut amount);
    }
    if let Some(Format::Schema(schema)) = &request.format {
        text(&schema.schema.to_text(), &mut amount);
    }
    amount
}

fn text(text: &str, amount: &mut Amount) {
    amount.text_bytes = amount.text_bytes.saturating_add(text.len() as u64);
}

fn part_of(part: &Part, amount: &mut Amount) {
    let mut tokens = |count: u64| {
        amount.other_tokens = amount.other_tokens.saturating_add(count);
    };
    match part {
        Part::Image(_) => tokens(IMAGE_TOKENS),
        Part::Audio(_) => tokens(AUDIO_TOKENS),
        Part::Document(document) => document_of(document, amount),
        Part::Text { text: said, .. } | Part::Refusal(said) => text(said, amount),
        Part::Search { title, source, text: said, .. } => {
            for said in [title, source, said] {
                text(said, amount);
            }
        }
        Part::Call(call) => {
            text(&call.name, amount);
            text(&call.arguments, amount);
        }
        Part::Result(result) => result.parts.iter().for_each(|part| part_of(part, amount)),
        Part::Reasoning(reasoning) => text(&reasoning.text, amount),
        Part::Hosted(item) => text(&item.to_text(), amount),
        Part::File { .. } | Part::Cache(_) => {}
    }
}

fn document_of(document: &Document, amount: &mut Amount) {
    if let Some(said) = document.as_text() {
        text(&said, amount);
    } else if let Some(Source::Base64(data)) = &document.source {
        amount.add_document(data.len() as u64);
    } else {
        // At an address: a page at least.
        amount.add_document(1);
    }
}

#[cfg(test)]
#[path = "count_tokens_tests.rs"]
mod tests;
