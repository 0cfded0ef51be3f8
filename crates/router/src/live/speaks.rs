//! What a model's provider speaks: its dialect, where it is spoken, and how a request to an endpoint
//! of the callers' API is asked there.

use providers::{
    address::{self, dialect, family},
    dialect::{Candidate, Dialect, Host, quirks::Quirks},
    embeddings::is_native,
    family::Family,
    fit,
    translate::chat_may_refuse_tools,
};
use routing::{
    Capability, CapabilitySet, Endpoint, ProviderKind,
    snapshot::{CompiledModel, CompiledTarget},
};

/// How a candidate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As the caller asked: its protocol is the provider's.
    Pass,
    /// In this dialect.
    Translate(Dialect),
    /// Not at all: its provider has no such endpoint, and no dialect has another form of it.
    Nowhere,
}

/// What a model speaks.
#[derive(Debug)]
pub(crate) struct Speaks {
    /// The provider's own dialect.
    pub(crate) dialect: Dialect,
    provider: ProviderKind,
    host: Host,
    family: Family,
    quirks: Option<&'static Quirks>,
    /// The target's id: signatures are bound to it.
    target: String,
    model: String,
    capabilities: CapabilitySet,
    max_output: Option<u64>,
}

impl Speaks {
    /// What is spoken to this model of this target.
    pub(crate) fn new(target: &CompiledTarget, model: &CompiledModel) -> Self {
        let (dialect, host) = dialect(target.provider, model);
        let id = target.id.to_string();
        let newest = Candidate::new(dialect, &id, &model.name, &model.upstream_name).family;
        Self {
            dialect,
            provider: target.provider,
            host,
            family: family(model).unwrap_or(newest),
            quirks: (target.provider == ProviderKind::OpenAICompatible)
                .then(|| Quirks::of(&target.endpoint.url)),
            target: id,
            model: model.upstream_name.clone(),
            capabilities: model.capabilities,
            max_output: model.max_output_tokens,
        }
    }

    /// Whether the target has `/responses`.
    pub(crate) fn serves_responses(&self) -> bool {
        self.dialect == Dialect::OpenAiChat && self.capabilities.has(Capability::Responses)
    }

    /// Whether the model answers on its provider's own chat endpoint.
    pub(crate) fn serves_chat(&self) -> bool {
        self.capabilities.has(Capability::Chat)
    }

    /// Whether the model thinks, and encrypts what it thought.
    pub(crate) fn encrypts(&self) -> bool {
        matches!(self.family, Family::OpenAi(rules) if !rules.efforts.is_empty())
    }

    /// Whether it is a compatible server, not OpenAI itself.
    pub(crate) fn is_compatible(&self) -> bool {
        self.quirks.is_some()
    }

    /// Whether it is Claude on VertexAI, whose body says what a header and `model` say elsewhere.
    pub(crate) fn is_claude_on_vertex(&self) -> bool {
        self.dialect == Dialect::Anthropic && self.host == Host::Vertex
    }

    /// What is known of a compatible server.
    pub(crate) fn quirks(&self) -> Option<&'static Quirks> {
        self.quirks
    }

    /// Whether it is a compatible server of which something is known.
    fn is_peculiar(&self) -> bool {
        self.quirks.is_some_and(|quirks| fit::applies(&[], quirks))
    }

    /// How an endpoint is asked, whatever the request.
    pub(crate) fn way(&self, endpoint: Endpoint) -> Way {
        let has = |capability| self.capabilities.has(capability);
        let open = self.dialect == Dialect::OpenAiChat;
        let passes = match endpoint {
            Endpoint::ChatCompletions => open && has(Capability::Chat),
            Endpoint::Completions => open && has(Capability::Completions),
            Endpoint::Responses => self.serves_responses(),
            Endpoint::Messages | Endpoint::CountTokens => self.dialect == Dialect::Anthropic,
            Endpoint::Embeddings => {
                return if is_native(&self.candidate(self.dialect, false)) {
                    Way::Pass
                } else {
                    Way::Translate(self.dialect)
                };
            }
            Endpoint::Images | Endpoint::Moderations | Endpoint::Rerank | Endpoint::Speech => {
                return if address::has(self.provider, endpoint) {
                    Way::Pass
                } else {
                    Way::Nowhere
                };
            }
        };
        if passes {
            Way::Pass
        } else if open && !has(Capability::Chat) {
            Way::Translate(Dialect::OpenAiResponses)
        } else {
            Way::Translate(self.dialect)
        }
    }

    /// Whether any request to an endpoint is taken as it came; `mixed`: answers to chat may have been
    /// translated, so that signatures in the history must be looked at.
    pub(crate) fn always_passes(&self, endpoint: Endpoint, mixed: bool) -> bool {
        self.way(endpoint) == Way::Pass
            && match endpoint {
                Endpoint::ChatCompletions => {
                    !mixed
                        && !self.is_peculiar()
                        && !chat_may_refuse_tools(&self.candidate(self.dialect, false))
                }
                Endpoint::Completions => !self.is_peculiar(),
                Endpoint::Embeddings
                | Endpoint::Images
                | Endpoint::Moderations
                | Endpoint::Rerank
                | Endpoint::Speech => true,
                Endpoint::Responses | Endpoint::Messages | Endpoint::CountTokens => false,
            }
    }

    /// It, as somebody to translate for; `bound`: what lives at one provider may pass.
    pub(crate) fn candidate(&self, dialect: Dialect, bound: bool) -> Candidate<'_> {
        Candidate {
            dialect,
            host: self.host,
            target: &self.target,
            model: &self.model,
            family: self.family,
            capabilities: self.capabilities,
            max_output: self.max_output,
            quirks: self.quirks,
            bound,
        }
    }
}
