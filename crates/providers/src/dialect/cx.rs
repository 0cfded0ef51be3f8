//! What an encoder of requests carries along: the rules' notes, the ids and names that were fitted,
//! and what the way back must know.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::Candidate;
use crate::{
    ids::{IdRule, Ids, NameRule, fit_name},
    neutral::{Part, Request, Tool, ToolKind},
    rules::{Action, Column, Field, Refusal, Rule, Warning},
    tree::Json,
};

/// A request, encoded for a candidate.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The path below the target's base URL, query included.
    pub path: String,
    /// The body.
    pub body: Bytes,
    /// Headers of the dialect beside the credential and the content type.
    pub headers: Vec<(&'static str, String)>,
    /// What was adapted or dropped.
    pub warnings: Vec<Warning>,
    /// Optional members, by their name in the body: where the provider refuses one by name, the
    /// request is sent once more without it.
    pub optional: Vec<String>,
    /// What the way back must know.
    pub back: Back,
}

/// Hints, by their names in the bodies of all dialects: without one the answer is as right.
const HINTS: [&str; 28] = [
    "temperature",
    "top_p",
    "topP",
    "top_k",
    "topK",
    "seed",
    "random_seed",
    "presence_penalty",
    "presencePenalty",
    "frequency_penalty",
    "frequencyPenalty",
    "user",
    "safety_identifier",
    "metadata",
    "requestMetadata",
    "labels",
    "service_tier",
    "serviceTier",
    "store",
    "stream_options",
    "parallel_tool_calls",
    "prompt_cache_key",
    "verbosity",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "thinkingConfig",
    "include",
];

impl Encoded {
    /// The hint that a provider refuses by its name, if it refuses one: the request is then sent once
    /// more without it.
    pub fn refused(&self, failure: &crate::Failure) -> Option<&str> {
        let hint = |name: &&String| HINTS.contains(&name.as_str()) && failure.refuses(name);
        self.optional.iter().find(hint).map(String::as_str)
    }

    /// Leaves a member of the body out.
    pub fn leave_out(&mut self, name: &str) {
        let Ok(mut body) = Json::parse(&self.body) else { return };
        for inner in ["generationConfig", "inferenceConfig"] {
            if body.get(inner).get(name) != &Json::Null {
                let mut object = body.get(inner).clone();
                object.take(name);
                body.set(inner, object);
            }
        }
        body.take(name);
        self.body = Bytes::from(body.to_vec());
        self.optional.retain(|known| known != name);
    }
}

/// What the way back must know of a request.
#[derive(Clone, Debug, Default)]
pub struct Back {
    /// Names of tools as they were sent, where they differ from the caller's.
    pub names: HashMap<String, BackName>,
    /// Ids of calls in the history: an answer may not use one again.
    pub seen: HashSet<String>,
    /// Signatures were sent, so that a bare refusal may be of one.
    pub signed: bool,
}

/// A tool as the caller knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackName {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its input is free text, sent as a function with one string.
    pub custom: bool,
}

pub(super) struct Cx<'a> {
    pub(super) request: &'a Request,
    pub(super) to: &'a Candidate<'a>,
    pub(super) column: Column,
    pub(super) warnings: Vec<Warning>,
    pub(super) ids: Ids,
    names: NameRule,
    pub(super) back: Back,
    /// Whether custom tools are known as such.
    customs: bool,
    namespaces: bool,
    /// Ids of calls that go back as their issuer gave them (Gemini).
    pub(super) own_ids: HashSet<String>,
    /// The caller's name, its namespace: what is sent.
    sent: HashMap<(Option<String>, String), String>,
}

impl<'a> Cx<'a> {
    pub(super) fn new(
        request: &'a Request,
        to: &'a Candidate<'a>,
        ids: IdRule,
        names: NameRule,
    ) -> Self {
        let column = to.column();
        Self {
            request,
            to,
            column,
            warnings: Vec::new(),
            ids: Ids::new(ids),
            names,
            back: Back::default(),
            customs: matches!(column, Column::OpenAi | Column::Responses),
            namespaces: column == Column::Responses,
            own_ids: HashSet::new(),
            sent: HashMap::new(),
        }
    }

    fn note(&mut self, field: Field, action: Action, rule: Rule, detail: String) {
        debug_assert!(
            field.cell(self.column).allows(rule),
            "{field:?} of {} is {rule:?}",
            self.column.name()
        );
        let field = field.name(self.request.protocol).to_owned();
        // One warning for each field and what was done to it.
        if !self.warnings.iter().any(|w| w.field == field && w.action == action) {
            self.warnings.push(Warning { field, action, detail });
        }
    }

    pub(super) fn adapt(&mut self, field: Field, detail: impl Into<String>) {
        self.note(field, Action::Adapted, Rule::Adapt, detail.into());
    }

    pub(super) fn drop(&mut self, field: Field, detail: impl Into<String>) {
        self.note(field, Action::Dropped, Rule::Drop, detail.into());
    }

    pub(super) fn refuse(&self, field: Field, detail: impl Into<String>) -> Refusal {
        let cell = field.cell(self.column);
        debug_assert!(cell.allows(Rule::Refuse), "{field:?} of {}", self.column.name());
        Refusal {
            field: field.name(self.request.protocol).to_owned(),
            detail: detail.into(),
            not_portable: false,
        }
    }

    pub(super) fn not_portable(&self, field: Field) -> Refusal {
        Refusal {
            field: field.name(self.request.protocol).to_owned(),
            detail: "It names something that lives at one provider.".to_owned(),
            not_portable: true,
        }
    }

    /// Meets the rules of the fields that are carried as they are. What is left is for the encoder:
    /// fields that map, alone or by value.
    pub(super) fn others(&mut self) -> Result<Vec<(Field, &'a Json)>, Refusal> {
        let mut left = Vec::new();
        for (field, value) in &self.request.others {
            if is_default(*field, value) {
                continue;
            }
            let cell = field.cell(self.column);
            match cell.rule {
                Rule::Map | Rule::Mixed | Rule::Adapt => left.push((*field, value)),
                Rule::Drop => self.drop(*field, format!("{} has no such field.", self.who())),
                Rule::Refuse if is_bound(*field, value) => return Err(self.not_portable(*field)),
                Rule::Refuse if cell.says.is_empty() => {
                    let detail = format!("{} has no such field.", self.who());
                    return Err(self.refuse(*field, detail));
                }
                Rule::Refuse => {
                    return Err(self.refuse(*field, format!("{}: {}.", self.who(), cell.says)));
                }
            }
        }
        Ok(left)
    }

    /// Drops the members that no rule knows; gives them to who passes them on.
    pub(super) fn unknown(&mut self, pass: bool) -> Vec<(String, Json)> {
        if pass {
            return self.request.unknown.clone();
        }
        for (path, _) in &self.request.unknown {
            if !self.warnings.iter().any(|w| w.field == *path) {
                self.warnings.push(Warning {
                    field: path.clone(),
                    action: Action::Dropped,
                    detail: format!("{} is not known to have it.", self.who()),
                });
            }
        }
        Vec::new()
    }

    /// The dialect in words.
    pub(super) fn who(&self) -> &'static str {
        self.column.name()
    }

    /// The limit of the answer, lowered to what the target allows.
    pub(super) fn max_output(&mut self) -> Option<u64> {
        let asked = self.request.max_output?;
        match self.to.max_output {
            Some(most) if asked > most => {
                self.adapt(Field::MaxTokens, format!("{asked} lowered to the target's {most}."));
                Some(most)
            }
            _ => Some(asked),
        }
    }

    /// The id of a call as it is sent.
    pub(super) fn id(&mut self, id: &str) -> String {
        self.back.seen.insert(id.to_owned());
        let sent = self.ids.fit(id);
        if sent != id {
            self.adapt(Field::CallId, "Ids beyond what the provider takes are sent as a hash.");
        }
        sent
    }

    /// The name of a tool as it is sent.
    pub(super) fn name(&mut self, name: &str, namespace: Option<&str>, custom: bool) -> String {
        let key = (namespace.map(str::to_owned), name.to_owned());
        if let Some(sent) = self.sent.get(&key) {
            return sent.clone();
        }
        let joined = match namespace {
            Some(space) if !self.namespaces => {
                self.adapt(Field::Namespace, "Joined to the name of the tool.");
                format!("{space}__{name}")
            }
            _ => name.to_owned(),
        };
        let sent = fit_name(&joined, &self.names);
        if sent != joined {
            self.adapt(Field::ToolName, format!("`{joined}` is sent as `{sent}`."));
        }
        let custom = custom && !self.customs;
        if sent != name || custom {
            let namespace = namespace.map(str::to_owned);
            self.back
                .names
                .insert(sent.clone(), BackName { name: name.to_owned(), namespace, custom });
        }
        self.sent.insert(key, sent.clone());
        sent
    }

    /// Whether the caller's tool of this name takes free text.
    pub(super) fn is_custom(&self, name: &str) -> bool {
        let mut tools = self.request.tools.iter();
        tools.any(|tool| tool.name == name && matches!(tool.kind, ToolKind::Custom(_)))
    }

    /// The name of a tool that a choice names.
    pub(super) fn chosen(&mut self, name: &str) -> String {
        let request = self.request;
        let found = request.tools.iter().find(|tool| tool.name == name);
        let space = found.and_then(|tool| tool.namespace.as_deref());
        self.name(name, space, found.is_some_and(|t| matches!(t.kind, ToolKind::Custom(_))))
    }

    /// The schema of a tool, a custom one as a function with one string. Hosted ones are refused.
    pub(super) fn input_schema(&mut self, tool: &Tool) -> Result<Json, Refusal> {
        match &tool.kind {
            ToolKind::Function(schema) if schema.is_object() && schema.filled() => {
                Ok(crate::schema::plain(schema))
            }
            ToolKind::Function(_) => Ok(crate::tree::object! {
                "type": "object", "properties": Json::empty(),
            }),
            ToolKind::Custom(format) => {
                self.adapt(Field::Custom, "Sent as a function with one string `input`.");
                if format.filled() && format.get("type").str() != Some("text") {
                    self.adapt(Field::Custom, "The grammar is left out.");
                }
                Ok(crate::tree::object! {
                    "type": "object",
                    "properties": crate::tree::object! {
                        "input": crate::tree::object! {"type": "string"},
                    },
                    "required": Json::Array(vec!["input".into()]),
                })
            }
            ToolKind::Hosted(_) => Err(self.hosted_tool(tool)),
        }
    }

    pub(super) fn hosted_tool(&self, tool: &Tool) -> Refusal {
        let detail = format!("The tool `{}` is one that another provider runs.", tool.name);
        self.refuse(Field::HostedTools, detail)
    }

    /// What an encoder meets that no dialect but its own understands.
    pub(super) fn foreign(&mut self, part: &Part) -> Result<(), Refusal> {
        match part {
            Part::File { .. } => Err(self.not_portable(Field::FileId)),
            Part::Hosted(_) => {
                self.drop(Field::Hosted, "Calls of hosted tools mean nothing to this provider.");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Drops a reasoning part that this candidate cannot use.
    pub(super) fn foreign_reasoning(&mut self) {
        self.drop(Field::Reasoning, "Its signature is not this target's: the part is left out.");
    }

    /// The arguments of a call as an object: what is none is wrapped.
    pub(super) fn arguments(&mut self, arguments: &str) -> Json {
        if arguments.trim().is_empty() {
            return Json::empty();
        }
        match Json::parse(arguments.as_bytes()) {
            Ok(value @ Json::Object(_)) => value,
            _ => {
                self.adapt(Field::Arguments, "Arguments that are no JSON object go as `_raw`.");
                Json::empty().with("_raw", arguments)
            }
        }
    }

    pub(super) fn done(
        self,
        path: String,
        body: &Json,
        headers: Vec<(&'static str, String)>,
    ) -> Encoded {
        const NEEDED: [&str; 9] = [
            "model",
            "messages",
            "contents",
            "input",
            "stream",
            "max_tokens",
            "tools",
            "system",
            "modelId",
        ];
        let mut optional = Vec::new();
        for (name, value) in body.members() {
            if NEEDED.contains(&name.as_str()) {
                continue;
            }
            match (name.as_str(), value) {
                ("generationConfig" | "inferenceConfig", Json::Object(members)) => {
                    optional.extend(members.iter().map(|(name, _)| name.clone()));
                }
                _ => optional.push(name.clone()),
            }
        }
        Encoded {
            path,
            body: Bytes::from(body.to_vec()),
            headers,
            warnings: self.warnings,
            optional,
            back: self.back,
        }
    }
}

/// A value that is what the provider does by itself: left out without a word.
pub(crate) fn is_default(field: Field, value: &Json) -> bool {
    match field {
        Field::N => value.u64() == Some(1),
        Field::PresencePenalty | Field::FrequencyPenalty => value.f64() == Some(0.0),
        Field::Logprobs | Field::Store | Field::Background => *value == Json::Bool(false),
        Field::Modalities => value.items() == [Json::from("text")],
        Field::Truncation => value.text() == "disabled",
        Field::ServiceTier => value.text() == "auto",
        Field::Speed => value.text() == "standard",
        Field::Verbosity => value.text() == "medium",
        Field::LogitBias | Field::Metadata | Field::Include | Field::Fallbacks => !value.filled(),
        _ => value.is_null(),
    }
}

/// Whether a field is refused since it names what lives at one provider.
fn is_bound(field: Field, value: &Json) -> bool {
    match field {
        Field::Store => value.is_true(),
        Field::PreviousResponse
        | Field::Conversation
        | Field::ItemReference
        | Field::Prompt
        | Field::Compaction
        | Field::Container
        | Field::InferenceGeo
        | Field::Fallbacks
        | Field::Thread
        | Field::UserProfile
        | Field::Workspace
        | Field::BillingPolicy => true,
        _ => false,
    }
}
