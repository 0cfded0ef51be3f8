//! Where a provider is asked: the path below a target's base URL and the headers that its dialect
//! fixes, for what is asked of which model.

use routing::{
    Endpoint, ProviderKind,
    snapshot::{CompiledModel, CompiledOptions, CompiledTarget},
};

use crate::{
    dialect::{Dialect, Host},
    family::Family,
};

/// The version of Anthropic's protocol that is spoken where a caller named none: under it each
/// model's own rules hold.
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// What is asked of a provider, in a dialect of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The dialect.
    pub dialect: Dialect,
    /// What is asked.
    pub operation: Operation,
    /// Whether the answer is asked as a stream.
    pub stream: bool,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer of the model: chat completions, responses, messages, generateContent, Converse.
    Generate,
    /// Vectors of texts.
    Embed,
    /// How many tokens a prompt has.
    CountTokens,
    /// An endpoint of OpenAI's protocol, passed through.
    Same(Endpoint),
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What follows the base URL and one slash; percent-encoded, with the query.
    pub path: String,
    /// Headers beside the credential and the content type. Those of a caller go before them where
    /// the body is passed through.
    pub headers: &'static [(&'static str, &'static str)],
}

impl Address {
    /// The URL: the base, exactly one slash, the path.
    pub fn url(&self, base: &str) -> String {
        format!("{}/{}", base.trim_end_matches('/'), self.path)
    }
}

/// The dialect in which a provider is asked for answers of this model, and where it is spoken.
pub fn dialect(provider: ProviderKind, model: &CompiledModel) -> (Dialect, Host) {
    match provider {
        ProviderKind::OpenAI | ProviderKind::AzureOpenAI | ProviderKind::OpenAICompatible => {
            (Dialect::OpenAiChat, Host::Own)
        }
        ProviderKind::Anthropic => (Dialect::Anthropic, Host::Own),
        ProviderKind::Gemini => (Dialect::Gemini, Host::Own),
        ProviderKind::VertexAI => match family(model) {
            Some(Family::Claude(_)) => (Dialect::Anthropic, Host::Vertex),
            _ => (Dialect::Gemini, Host::Vertex),
        },
        ProviderKind::Bedrock => (Dialect::Bedrock, Host::Own),
    }
}

/// The family of a model: as it is stated, else told by its names, that of the lineups first.
/// `None`: nothing tells, and the newest of the dialect is taken.
pub fn family(model: &CompiledModel) -> Option<Family> {
    model
        .family
        .as_deref()
        .and_then(Family::of)
        .or_else(|| Family::of(&model.name))
        .or_else(|| Family::of(&model.upstream_name))
}

/// Where this is asked of a model; `None`: this provider has no such thing.
pub fn address(target: &CompiledTarget, model: &CompiledModel, call: Call) -> Option<Address> {
    if let Operation::Same(endpoint) = call.operation
        && !has(target.provider, endpoint)
    {
        return None;
    }
    match target.provider {
        ProviderKind::OpenAI | ProviderKind::OpenAICompatible => {
            openai(call).map(|path| Address { path: path.to_owned(), headers: &[] })
        }
        ProviderKind::Anthropic => anthropic(call)
            .map(|path| Address { path: path.to_owned(), headers: &[ANTHROPIC_VERSION] }),
        ProviderKind::Gemini => {
            gemini(call, &model.upstream_name).map(|path| Address { path, headers: &[] })
        }
        ProviderKind::AzureOpenAI => azure(call, &target.options, &model.upstream_name)
            .map(|path| Address { path, headers: &[] }),
        ProviderKind::VertexAI => vertex(call, &target.options, &model.upstream_name)
            .map(|path| Address { path, headers: &[] }),
        ProviderKind::Bedrock => {
            bedrock(call, &model.upstream_name).map(|path| Address { path, headers: &[] })
        }
    }
}

/// Whether a provider of this kind may have an endpoint that is asked as it came: of those that have a
/// form in no other dialect each kind has its own.
pub fn has(provider: ProviderKind, endpoint: Endpoint) -> bool {
    !endpoint.passes_only() || provider.unstated_capabilities().has(endpoint.capability())
}

/// Azure's paths: version 1 of its API is OpenAI's, the older one has the deployment in the path.
fn azure(call: Call, options: &CompiledOptions, deployment: &str) -> Option<String> {
    let path = openai(call)?;
    let CompiledOptions::AzureDeployments { api_version } = options else {
        return Some(format!("openai/v1/{path}"));
    };
    let version = segment(api_version);
    match (call.dialect, call.operation) {
        (_, Operation::CountTokens) => None,
        // The one that names the deployment in its body.
        (Dialect::OpenAiResponses, Operation::Generate)
        | (_, Operation::Same(Endpoint::Responses)) => {
            Some(format!("openai/{path}?api-version={version}"))
        }
        _ => {
            let deployment = segment(deployment);
            Some(format!("openai/deployments/{deployment}/{path}?api-version={version}"))
        }
    }
}

/// Paths of VertexAI, by the model's publisher.
fn vertex(call: Call, options: &CompiledOptions, model: &str) -> Option<String> {
    let CompiledOptions::VertexAi { project, location } = options else { return None };
    let (project, location) = (segment(project), segment(location));
    let place = format!("projects/{project}/locations/{location}/publishers");
    if call.dialect == Dialect::Anthropic {
        let (model, method) = match (call.operation, call.stream) {
            (Operation::Generate | Operation::Same(Endpoint::Messages), false) => {
                (versioned(model), "rawPredict")
            }
            (Operation::Generate | Operation::Same(Endpoint::Messages), true) => {
                (versioned(model), "streamRawPredict")
            }
            // The model is in the body of this one.
            (Operation::CountTokens | Operation::Same(Endpoint::CountTokens), _) => {
                ("count-tokens".to_owned(), "rawPredict")
            }
            (Operation::Embed | Operation::Same(_), _) => return None,
        };
        return Some(format!("{place}/anthropic/models/{model}:{method}"));
    }
    let (method, query) = match (call.operation, call.stream) {
        (Operation::Generate, false) => ("generateContent", ""),
        (Operation::Generate, true) => ("streamGenerateContent", "?alt=sse"),
        (Operation::Embed, _) => ("predict", ""),
        (Operation::CountTokens, _) => ("countTokens", ""),
        (Operation::Same(_), _) => return None,
    };
    let model = versioned(model.strip_prefix("models/").unwrap_or(model));
    Some(format!("{place}/google/models/{model}:{method}{query}"))
}

/// A model's name with the `@` before its version, which may stand in a path as it is.
fn versioned(model: &str) -> String {
    match model.split_once('@') {
        Some((name, version)) => format!("{}@{}", segment(name), segment(version)),
        None => segment(model),
    }
}

fn bedrock(call: Call, model: &str) -> Option<String> {
    let operation = match (call.operation, call.stream) {
        (Operation::Generate, false) => "converse",
        (Operation::Generate, true) => "converse-stream",
        (Operation::CountTokens, _) => "count-tokens",
        (Operation::Embed | Operation::Same(_), _) => return None,
    };
    // Ids hold `:` and, as ARNs, `/`.
    Some(format!("model/{}/{operation}", segment(model)))
}

/// The path of an endpoint of OpenAI's protocol.
fn openai(call: Call) -> Option<&'static str> {
    match (call.dialect, call.operation) {
        (Dialect::OpenAiChat, Operation::Generate) => Some(Endpoint::ChatCompletions.path()),
        (Dialect::OpenAiResponses, Operation::Generate) => Some("responses"),
        (_, Operation::Embed) => Some(Endpoint::Embeddings.path()),
        (_, Operation::CountTokens) => Some("responses/input_tokens"),
        (Dialect::Anthropic | Dialect::Gemini | Dialect::Bedrock, Operation::Generate)
        | (_, Operation::Same(Endpoint::Messages | Endpoint::CountTokens)) => None,
        (_, Operation::Same(endpoint)) => Some(endpoint.path()),
    }
}

fn anthropic(call: Call) -> Option<&'static str> {
    match call.operation {
        Operation::Generate | Operation::Same(Endpoint::Messages) => Some("messages"),
        Operation::CountTokens | Operation::Same(Endpoint::CountTokens) => {
            Some("messages/count_tokens")
        }
        Operation::Embed | Operation::Same(_) => None,
    }
}

fn gemini(call: Call, model: &str) -> Option<String> {
    let (method, query) = match (call.operation, call.stream) {
        (Operation::Generate, false) => ("generateContent", ""),
        (Operation::Generate, true) => ("streamGenerateContent", "?alt=sse"),
        (Operation::Embed, _) => ("batchEmbedContents", ""),
        (Operation::CountTokens, _) => ("countTokens", ""),
        (Operation::Same(_), _) => return None,
    };
    // A tuned model is named with its collection.
    let (collection, name) = match model.split_once('/') {
        Some(("tunedModels", name)) => ("tunedModels", name),
        Some(("models", name)) => ("models", name),
        _ => ("models", model),
    };
    Some(format!("{collection}/{}:{method}{query}", segment(name)))
}

/// A text as one segment of a path (RFC 3986, the unreserved characters alone as they are), so that
/// no model's name leads elsewhere.
pub(crate) fn segment(text: &str) -> String {
    // These two are segments of a meaning of their own, and no model.
    if matches!(text, "." | "..") {
        return text.replace('.', "%2E");
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
