//! What servers that speak OpenAI's chat protocol refuse, rename or want otherwise: data. Which
//! server it is is told by the host of the target's URL.

use crate::{
    ids::IdRule,
    rules::Field::{
        self, Dimensions, FrequencyPenalty, LogitBias, Logprobs, Metadata, Moderation, N, Name,
        Parallel, Prediction, PresencePenalty, PromptCacheKey, PromptCacheOptions,
        PromptCacheRetention, SafetyIdentifier, Seed, ServiceTier, Stop, Store, Temperature, Tools,
        TopK, TopLogprobs, TopP, User, Verbosity,
    },
};

/// Which forms of `tool_choice` a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceForms {
    /// auto, none, required, one by name.
    All,
    /// As all, but `any` is its word for required.
    Any,
    /// auto and none.
    AutoNone,
    /// All, but none that forces a call while it thinks; it can be told not to think.
    NotThinking,
    /// `required` is sent as auto.
    RequiredAsAuto,
}

/// How a server is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffortForm {
    /// `reasoning_effort`.
    Effort,
    /// `enable_thinking` and `thinking_budget` (Qwen).
    EnableThinking,
    /// `thinking: {type}` (DeepSeek, Moonshot).
    ThinkingType,
    /// `extra_body.google.thinking_config` beside the effort (Gemini's endpoint).
    Google,
}

/// The peculiarities of one kind of server.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, of no order")]
pub struct Quirks {
    /// What it is called.
    pub name: &'static str,
    /// What its host ends with, or its port: `:11434`.
    pub hosts: &'static [&'static str],
    /// Fields that it refuses and that can be done without.
    pub dropped: &'static [Field],
    /// Fields that it refuses and that decide what the answer is.
    pub refused: &'static [Field],
    /// Fields that have another name.
    pub renamed: &'static [(Field, &'static str)],
    /// The name of the limit of the answer.
    pub max_tokens: &'static str,
    /// Whether it takes the other name, `max_completion_tokens` or `max_tokens`, as well.
    pub both_limits: bool,
    /// Whether it knows the role `developer`.
    pub developer: bool,
    /// Which ids of calls it takes.
    pub ids: IdRule,
    /// Whether the system must come first.
    pub system_first: bool,
    /// Whether user and assistant must alternate.
    pub alternate: bool,
    /// Whether an assistant must stand between a tool and a user.
    pub no_user_after_tool: bool,
    /// The member that marks a last assistant message as one to continue.
    pub prefill: Option<&'static str>,
    /// The forms of `tool_choice`.
    pub choice: ChoiceForms,
    /// Whether tools may be strict.
    pub strict: bool,
    /// Whether several calls at once must be asked for.
    pub parallel_asked: bool,
    /// How it is told to think.
    pub effort: EffortForm,
    /// Whether an assistant message with calls must carry its reasoning.
    pub returns_reasoning: bool,
    /// Whether `stream_options` is taken.
    pub stream_options: bool,
    /// Whether a tool's message must carry the tool's name.
    pub tool_names: bool,
    /// Its template reads the arguments of calls as JSON, and fails on what is none.
    pub parses_arguments: bool,
    /// Whether `json_object` is to be sent as a schema.
    pub object_as_schema: bool,
    /// Whether `cache_control` is known.
    pub cache_control: bool,
    /// The highest temperature.
    pub temperature: f64,
    /// Whether embeddings are given in base64 where that is asked for.
    pub base64: bool,
    /// Models that think in streams only, by how their names begin; `#` is a digit.
    pub thinks_in_streams: &'static [&'static str],
    /// Members that are added, as JSON.
    pub added: &'static [(&'static str, &'static str)],
}

const CALL_IDS: IdRule = IdRule { max: 40, exact: false, beside: None };

/// A server of which nothing is known.
pub static UNKNOWN: Quirks = PLAIN;

/// What a server is taken to be of which nothing else is known.
pub const PLAIN: Quirks = Quirks {
    name: "compatible",
    hosts: &[],
    dropped: &[Prediction, Moderation, Metadata, PromptCacheOptions, PromptCacheRetention],
    refused: &[],
    renamed: &[(SafetyIdentifier, "user")],
    max_tokens: "max_tokens",
    both_limits: true,
    developer: false,
    ids: CALL_IDS,
    system_first: false,
    alternate: false,
    no_user_after_tool: false,
    prefill: None,
    choice: ChoiceForms::All,
    strict: true,
    parallel_asked: false,
    effort: EffortForm::Effort,
    returns_reasoning: false,
    stream_options: true,
    tool_names: false,
    parses_arguments: false,
    object_as_schema: false,
    cache_control: false,
    temperature: 2.0,
    base64: true,
    thinks_in_streams: &[],
    added: &[],
};

/// Every server that is known, by its host.
pub static QUIRKS: &[Quirks] = &[
    Quirks {
        name: "groq",
        hosts: &["api.groq.com"],
        dropped: &[Name, Prediction, Metadata],
        refused: &[Logprobs, TopLogprobs, LogitBias, N],
        ..PLAIN
    },
    Quirks {
        name: "together",
        hosts: &["api.together.xyz", "api.together.ai"],
        // Else a request that is too long is cut without a word.
        added: &[("context_length_exceeded_behavior", "\"error\"")],
        ..PLAIN
    },
    Quirks {
        name: "mistral",
        hosts: &["api.mistral.ai"],
        dropped: &[User, SafetyIdentifier, LogitBias, Metadata, ServiceTier],
        renamed: &[(Seed, "random_seed"), (Dimensions, "output_dimension")],
        ids: IdRule { max: 9, exact: true, beside: Some("") },
        system_first: true,
        no_user_after_tool: true,
        prefill: Some("prefix"),
        choice: ChoiceForms::Any,
        both_limits: false,
        ..PLAIN
    },
    Quirks {
        name: "deepseek",
        hosts: &["api.deepseek.com"],
        choice: ChoiceForms::NotThinking,
        prefill: Some("prefix"),
        effort: EffortForm::ThinkingType,
        returns_reasoning: true,
        both_limits: false,
        ..PLAIN
    },
    Quirks {
        name: "xai",
        hosts: &["api.x.ai"],
        dropped: &[PresencePenalty, FrequencyPenalty, Prediction, Metadata],
        refused: &[Stop],
        ..PLAIN
    },
    Quirks {
        name: "openrouter",
        hosts: &["openrouter.ai"],
        dropped: &[],
        renamed: &[],
        developer: true,
        cache_control: true,
        ..PLAIN
    },
    Quirks {
        name: "fireworks",
        hosts: &["api.fireworks.ai"],
        added: &[("context_length_exceeded_behavior", "\"error\"")],
        ..PLAIN
    },
    Quirks {
        name: "perplexity",
        hosts: &["api.perplexity.ai"],
        dropped: &[Seed, LogitBias, Metadata, Prediction],
        refused: &[Tools, Stop, Logprobs, TopLogprobs],
        alternate: true,
        both_limits: false,
        ..PLAIN
    },
    Quirks {
        name: "cerebras",
        hosts: &["api.cerebras.ai"],
        dropped: &[
            PresencePenalty,
            FrequencyPenalty,
            LogitBias,
            ServiceTier,
            Parallel,
            Metadata,
            Prediction,
        ],
        choice: ChoiceForms::AutoNone,
        ..PLAIN
    },
    Quirks { name: "vllm", hosts: &[":8000"], parses_arguments: true, ..PLAIN },
    Quirks { name: "sglang", hosts: &[":30000"], ..PLAIN },
    Quirks {
        name: "ollama",
        hosts: &[":11434"],
        dropped: &[LogitBias, User, SafetyIdentifier, Metadata, Prediction],
        refused: &[N],
        both_limits: false,
        ..PLAIN
    },
    Quirks { name: "llama.cpp", hosts: &[":8080"], parallel_asked: true, ..PLAIN },
    Quirks {
        name: "lm-studio",
        hosts: &[":1234"],
        object_as_schema: true,
        base64: false,
        both_limits: false,
        ..PLAIN
    },
    Quirks {
        name: "gemini",
        hosts: &["generativelanguage.googleapis.com"],
        dropped: &[
            PresencePenalty,
            FrequencyPenalty,
            TopK,
            Store,
            Seed,
            LogitBias,
            Metadata,
            Prediction,
            User,
            SafetyIdentifier,
            ServiceTier,
            PromptCacheKey,
            Verbosity,
        ],
        effort: EffortForm::Google,
        stream_options: false,
        tool_names: true,
        base64: false,
        ..PLAIN
    },
    Quirks {
        name: "moonshot",
        hosts: &["api.moonshot.ai", "api.moonshot.cn"],
        dropped: &[Temperature, TopP, PresencePenalty, FrequencyPenalty, Metadata, Prediction],
        refused: &[N],
        max_tokens: "max_completion_tokens",
        prefill: Some("partial"),
        choice: ChoiceForms::NotThinking,
        strict: false,
        effort: EffortForm::ThinkingType,
        returns_reasoning: true,
        both_limits: false,
        ..PLAIN
    },
    Quirks {
        name: "qwen",
        hosts: &["dashscope-intl.aliyuncs.com", "dashscope.aliyuncs.com"],
        system_first: true,
        choice: ChoiceForms::RequiredAsAuto,
        effort: EffortForm::EnableThinking,
        cache_control: true,
        parses_arguments: true,
        // The open models: those behind a name of their own think in JSON too.
        thinks_in_streams: &["qwen3-#"],
        both_limits: false,
        ..PLAIN
    },
];

impl Quirks {
    /// The peculiarities of the server at this address; those of any server where it is not known.
    pub fn of(base: &str) -> &'static Self {
        let authority = base.split("://").nth(1).unwrap_or(base);
        let authority = authority.split(['/', '?']).next().unwrap_or_default();
        let known = |end: &&str| {
            let host = authority.split(':').next().unwrap_or_default();
            if end.starts_with(':') {
                authority.ends_with(*end)
            } else {
                host == *end || host.strip_suffix(*end).is_some_and(|rest| rest.ends_with('.'))
            }
        };
        QUIRKS.iter().find(|quirks| quirks.hosts.iter().any(known)).unwrap_or(&UNKNOWN)
    }

    /// Whether a model thinks in streams only, so that it must be told not to for a JSON answer.
    pub(crate) fn thinks_in_streams_only(&self, model: &str) -> bool {
        let name = model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        // Some always think, or never, and cannot be told.
        let told = !name.contains("thinking") && !name.contains("instruct");
        told && self.thinks_in_streams.iter().any(|start| match start.strip_suffix('#') {
            Some(start) => {
                let rest = name.strip_prefix(start);
                rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            }
            None => name.starts_with(start),
        })
    }

    /// Whether a limit of the answer may have this name.
    pub(crate) fn takes_limit(&self, name: &str) -> bool {
        self.both_limits || self.max_tokens == name
    }

    /// Whether a field is to be left out.
    pub(crate) fn drops(&self, field: Field) -> bool {
        self.dropped.contains(&field)
    }

    /// Whether a field filters the candidate.
    pub(super) fn refuses(&self, field: Field) -> bool {
        self.refused.contains(&field)
    }

    /// The name of a field, where it is another one.
    pub(crate) fn renames(&self, field: Field) -> Option<&'static str> {
        self.renamed.iter().find(|(f, _)| *f == field).map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_host() {
        for (base, name) in [
            ("https://api.groq.com/openai/v1", "groq"),
            ("https://api.mistral.ai/v1", "mistral"),
            ("http://ollama:11434/v1", "ollama"),
            ("https://eu.openrouter.ai/api/v1", "openrouter"),
            ("https://notopenrouter.ai/v1", "compatible"),
            ("http://vllm.svc:8000/v1", "vllm"),
            ("http://sglang:30000/v1", "sglang"),
            ("http://other:8001/v1", "compatible"),
            ("", "compatible"),
        ] {
            assert_eq!(Quirks::of(base).name, name, "{base}");
        }
    }

    #[test]
    fn what_is_dropped_may_be_dropped() {
        use crate::rules::{Column, Rule};
        for quirks in QUIRKS {
            for field in quirks.dropped {
                let cell = field.cell(Column::Compatible);
                assert!(cell.allows(Rule::Drop), "{}: {field:?}", quirks.name);
            }
            for field in quirks.refused {
                let cell = field.cell(Column::Compatible);
                assert!(cell.allows(Rule::Refuse), "{}: {field:?}", quirks.name);
            }
        }
    }
}
