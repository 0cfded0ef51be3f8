//! Embeddings: OpenAI's protocol, asked of a provider of another dialect, or of a compatible server
//! that cannot give what was asked. Where a server says all of it itself ([`is_native`]), the body is
//! passed through and nothing here applies.
//!
//! Sources of the forms: OpenAI's `CreateEmbeddingRequest`; Gemini's `models.batchEmbedContents`;
//! VertexAI's `predict` of the text models and `embedContent` of Gemini's.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    amount::Amount,
    dialect::{Back, Candidate, Dialect, Encoded, Host, error_within},
    failure::Failure,
    neutral::Usage,
    protocol::{DecodeError, Protocol, fields::Fields},
    rules::{Action, Field, Refusal, Rule, Warning},
    translate::Translated,
    tree::{Json, object},
};

/// What is to be embedded.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Texts, at least one.
    Texts(Vec<String>),
    /// Tokens of the model's own, as they came: one list, or several.
    Tokens(Json),
}

/// A request for embeddings.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The name that the caller asks for.
    pub model: String,
    /// What is to be embedded.
    pub input: Input,
    /// How many numbers each is to have.
    pub dimensions: Option<u64>,
    /// Whether they are asked for in base64: 32-bit floats, the least significant byte first.
    pub base64: bool,
    /// Who asks.
    pub user: Option<String>,
    /// Members that no rule knows, by name.
    pub unknown: Vec<(String, Json)>,
}

/// Decodes the body of a request.
pub fn decode(body: &[u8]) -> Result<Request, DecodeError> {
    let mut fields = Fields::of_body(body)?;
    let model = fields.string("model")?.unwrap_or_default();
    let input = match fields.take("input") {
        Json::String(text) => Input::Texts(vec![text]),
        Json::Array(items) if items.is_empty() => {
            return Err(fields.wrong("input", "must hold at least one text."));
        }
        Json::Array(items) if items.iter().all(|item| item.str().is_some()) => {
            Input::Texts(items.iter().map(|item| item.text().to_owned()).collect())
        }
        tokens @ Json::Array(_) if is_tokens(&tokens) => Input::Tokens(tokens),
        _ => {
            return Err(fields.wrong("input", "must be a string, an array of strings, or tokens."));
        }
    };
    let dimensions = fields.count("dimensions")?;
    let base64 = match fields.string("encoding_format")?.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(fields.wrong("encoding_format", "must be `float` or `base64`.")),
    };
    let user = fields.string("user")?;
    let Json::Object(unknown) = fields.whole() else { return Err(DecodeError::body("no object")) };
    Ok(Request { model, input, dimensions, base64, user, unknown })
}

/// Numbers, or lists of numbers.
fn is_tokens(value: &Json) -> bool {
    let numbers = |items: &[Json]| items.iter().all(|item| item.u64().is_some());
    let items = value.items();
    numbers(items) || items.iter().all(|item| !item.items().is_empty() && numbers(item.items()))
}

/// Whether a candidate understands every request of this protocol as it came, so that it may be
/// passed through.
pub fn is_native(to: &Candidate<'_>) -> bool {
    to.dialect == Dialect::OpenAiChat
        && to.quirks.is_none_or(|quirks| {
            quirks.base64
                && !quirks.drops(Field::Dimensions)
                && quirks.renames(Field::Dimensions).is_none()
        })
}

/// Encodes a request for a candidate, or says which field it cannot express.
pub fn encode(request: &Request, to: &Candidate<'_>) -> Result<Encoded, Refusal> {
    let mut out = Out { to, warnings: Vec::new() };
    let (path, body) = match to.dialect {
        Dialect::OpenAiChat => ("embeddings".to_owned(), out.openai(request)),
        Dialect::Gemini => out.gemini(request)?,
        Dialect::OpenAiResponses | Dialect::Anthropic | Dialect::Bedrock => {
            return Err(out.refuse(Field::EmbedInput));
        }
    };
    let optional = ["dimensions", "output_dimension", "encoding_format", "user"];
    let optional = optional.into_iter().filter(|name| body.has(name)).map(str::to_owned);
    Ok(Encoded {
        path,
        body: Bytes::from(body.to_vec()),
        headers: Vec::new(),
        optional: optional.collect(),
        warnings: out.warnings,
        back: Back::default(),
    })
}

/// What an encoder carries along.
struct Out<'a> {
    to: &'a Candidate<'a>,
    warnings: Vec<Warning>,
}

impl Out<'_> {
    fn note(&mut self, field: &str, action: Action, detail: impl Into<String>) {
        self.warnings.push(Warning { field: field.to_owned(), action, detail: detail.into() });
    }

    fn drop(&mut self, field: Field, detail: &str) {
        debug_assert!(field.cell(self.to.column()).allows(Rule::Drop), "{field:?}");
        self.note(field.name(Protocol::Chat), Action::Dropped, detail);
    }

    fn refuse(&self, field: Field) -> Refusal {
        let column = self.to.column();
        let cell = field.cell(column);
        debug_assert!(cell.allows(Rule::Refuse), "{field:?} of {}", column.name());
        Refusal {
            field: field.name(Protocol::Chat).to_owned(),
            detail: format!("{}: {}.", column.name(), cell.says),
            not_portable: false,
        }
    }

    fn openai(&mut self, request: &Request) -> Json {
        let quirks = self.to.quirks;
        let input = match &request.input {
            Input::Texts(texts) => match texts.as_slice() {
                [text] => Json::from(text),
                texts => texts.iter().map(Json::from).collect(),
            },
            Input::Tokens(tokens) => tokens.clone(),
        };
        let mut body = object! {"model": self.to.model, "input": input};
        if let Some(dimensions) = request.dimensions {
            if quirks.is_some_and(|q| q.drops(Field::Dimensions)) {
                self.drop(Field::Dimensions, "The server has no such field.");
            } else {
                let name = quirks.and_then(|q| q.renames(Field::Dimensions));
                body.set(name.unwrap_or("dimensions"), dimensions);
            }
        }
        // Where base64 is not given, it is made of the numbers: the caller does not notice.
        if request.base64 && quirks.is_none_or(|q| q.base64) {
            body.set("encoding_format", "base64");
        }
        if let Some(user) = &request.user {
            if quirks.is_some_and(|q| q.drops(Field::User)) {
                self.drop(Field::User, "The server has no such field.");
            } else {
                body.set("user", user);
            }
        }
        for (name, value) in &request.unknown {
            body.set(name, value);
        }
        body
    }

    fn gemini(&mut self, request: &Request) -> Result<(String, Json), Refusal> {
        let Input::Texts(texts) = &request.input else {
            return Err(self.refuse(Field::EmbedTokens));
        };
        if request.user.is_some() {
            self.drop(Field::User, "This provider has no such field.");
        }
        for (name, _) in &request.unknown {
            self.note(name, Action::Dropped, "This provider is not known to have it.");
        }
        let model = self.to.model.trim_start_matches("models/");
        let content = |text: &String| object! {"parts": vec![object! {"text": text}]};
        let size = request.dimensions;
        if self.to.host == Host::Own {
            let one = |text| {
                object! {"model": format!("models/{model}"), "content": content(text)}
                    .with_some("outputDimensionality", size)
            };
            let requests: Json = texts.iter().map(one).collect();
            return Ok((
                format!("models/{model}:batchEmbedContents"),
                object! {"requests": requests},
            ));
        }
        let gemini = model.contains("gemini");
        if gemini && texts.len() > 1 {
            return Err(self.refuse(Field::EmbedInput));
        }
        // The first of Gemini's embedding models is served as the text models are.
        if gemini && !model.contains("embedding-001") {
            let mut body = Json::empty();
            body.set_some("content", texts.first().map(content));
            if let Some(size) = size {
                body.set_at(&["embedContentConfig", "outputDimensionality"], size);
            }
            return Ok((format!("models/{model}:embedContent"), body));
        }
        let instances: Json = texts.iter().map(|text| object! {"content": text}).collect();
        let mut body = object! {"instances": instances};
        if let Some(size) = size {
            body.set_at(&["parameters", "outputDimensionality"], size);
        }
        Ok((format!("models/{model}:predict"), body))
    }
}

/// A provider's answer, in whichever form: a member that a form lacks is absent.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reply {
    error: Option<Json>,
    // OpenAI.
    model: Option<String>,
    data: Vec<Item>,
    usage: Option<Counted>,
    // Gemini.
    embeddings: Vec<Vector>,
    embedding: Option<Vector>,
    usage_metadata: Option<Counted>,
    // VertexAI's predict.
    predictions: Vec<Prediction>,
}

#[derive(Deserialize)]
struct Item {
    embedding: Numbers,
    index: Option<usize>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(untagged)]
enum Numbers {
    List(Vec<f64>),
    Base64(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Vector {
    values: Vec<f64>,
    statistics: Option<Counted>,
}

#[derive(Deserialize)]
struct Prediction {
    embeddings: Vector,
}

/// Counts of tokens, by each of their names.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Counted {
    prompt_tokens: Option<f64>,
    total_tokens: Option<f64>,
    #[serde(rename = "promptTokenCount")]
    gemini: Option<f64>,
    token_count: Option<f64>,
}

impl Counted {
    fn tokens(&self) -> Option<u64> {
        let stated = [self.prompt_tokens, self.gemini, self.token_count, self.total_tokens];
        let count = stated.into_iter().flatten().find(|n| (0.0..9e15).contains(n))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the bounds; a count is whole"
        )]
        Some(count as u64)
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<One<'a>>,
    model: &'a str,
    usage: Told,
}

#[derive(Serialize)]
struct One<'a> {
    object: &'static str,
    index: usize,
    embedding: Cow<'a, Numbers>,
}

#[derive(Serialize)]
struct Told {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The answer of a candidate to a request that it was sent so, for the caller. `estimate`: the
/// tokens of the request, which are told where the provider counts none: then the usage given back is
/// marked as estimated.
pub fn answer(
    request: &Request,
    from: &Candidate<'_>,
    body: &[u8],
    estimate: u64,
) -> Result<Translated, Failure> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let reply: Reply = serde_json::from_slice(body).map_err(|error| {
        Failure::invalid(format!("The provider's answer is no list of embeddings: {error}."))
    })?;
    if reply.error.as_ref().is_some_and(Json::filled) {
        return Err(error_within(from, &Json::parse(body).unwrap_or_default()));
    }
    let model = reply.model.clone().filter(|name| !name.is_empty());
    let counted = reply.tokens();
    let vectors = reply.vectors()?;
    let asked = match &request.input {
        Input::Texts(texts) => texts.len(),
        Input::Tokens(Json::Array(lists)) if lists.iter().all(|l| !l.items().is_empty()) => {
            lists.len()
        }
        Input::Tokens(_) => 1,
    };
    if vectors.len() != asked {
        return Err(Failure::invalid(format!(
            "The provider answered {asked} inputs with {} embeddings.",
            vectors.len()
        )));
    }
    let mut data = Vec::with_capacity(vectors.len());
    for (index, numbers) in vectors.iter().enumerate() {
        let embedding = numbers.written(request.base64)?;
        data.push(One { object: "embedding", index, embedding });
    }
    let tokens = counted.unwrap_or(estimate);
    let answer = Answer {
        object: "list",
        data,
        model: model.as_deref().unwrap_or(from.model),
        usage: Told { prompt_tokens: tokens, total_tokens: tokens },
    };
    let body = serde_json::to_vec(&answer)
        .map_err(|error| Failure::invalid(format!("The embeddings cannot be written: {error}.")))?;
    let used = crate::Usage { input: tokens, ..crate::Usage::default() };
    let usage = Usage { tokens: used, estimated: counted.is_none(), ..Usage::default() };
    let amount = Amount::default();
    Ok(Translated { body: Bytes::from(body), usage: Some(usage), amount, filtered: false })
}

impl Reply {
    fn tokens(&self) -> Option<u64> {
        let told = self.usage.as_ref().or(self.usage_metadata.as_ref());
        // A total of zero is none: some servers count later.
        if let Some(count) = told.and_then(Counted::tokens).filter(|count| *count > 0) {
            return Some(count);
        }
        let each = self.predictions.iter().map(|p| p.embeddings.statistics.as_ref()?.tokens());
        each.sum::<Option<u64>>().filter(|count| *count > 0)
    }

    /// The vectors, in the order of the inputs.
    fn vectors(self) -> Result<Vec<Numbers>, Failure> {
        let mut vectors: Vec<Numbers> = Vec::new();
        if self.data.is_empty() {
            let predicted = self.predictions.into_iter().map(|p| p.embeddings);
            let all = self.embeddings.into_iter().chain(self.embedding).chain(predicted);
            vectors.extend(all.map(|vector| Numbers::List(vector.values)));
        } else {
            let mut items: Vec<(usize, Numbers)> = self
                .data
                .into_iter()
                .enumerate()
                .map(|(at, item)| (item.index.unwrap_or(at), item.embedding))
                .collect();
            items.sort_by_key(|(index, _)| *index);
            vectors.extend(items.into_iter().map(|(_, numbers)| numbers));
        }
        let empty = |numbers: &Numbers| match numbers {
            Numbers::List(list) => list.is_empty(),
            Numbers::Base64(text) => text.is_empty(),
        };
        if vectors.is_empty() || vectors.iter().any(empty) {
            return Err(Failure::invalid("The provider's answer holds no embedding."));
        }
        Ok(vectors)
    }
}

impl Numbers {
    /// As the caller wants them.
    fn written(&self, base64: bool) -> Result<Cow<'_, Self>, Failure> {
        match self {
            Self::List(list) if base64 => {
                #[expect(clippy::cast_possible_truncation, reason = "the form holds 32 bits")]
                let bytes = list.iter().flat_map(|number| (*number as f32).to_le_bytes());
                let text = STANDARD.encode(bytes.collect::<Vec<u8>>());
                Ok(Cow::Owned(Self::Base64(text)))
            }
            Self::Base64(text) if !base64 => {
                let wrong = || Failure::invalid("The provider's base64 is no list of floats.");
                let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
                let (floats, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(wrong());
                }
                let floats = floats.iter().map(|four| f64::from(f32::from_le_bytes(*four)));
                Ok(Cow::Owned(Self::List(floats.collect())))
            }
            same => Ok(Cow::Borrowed(same)),
        }
    }
}

#[cfg(test)]
#[path = "embeddings_tests.rs"]
mod tests;
