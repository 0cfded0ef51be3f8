//! The catalog: what providers, authentications, endpoints and capabilities exist. The CRD's enums,
//! the documentation, the metric labels and the dialects' table all follow from these types.

use serde::{Deserialize, Serialize};

/// Makes a closed enum whose variants know their name, so that no second list of them exists.
macro_rules! closed {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        $vis enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every one, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as it is written in YAML, labels and logs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.name()) }
        }
    };
}
pub(crate) use closed;

closed! {
    /// The kind of API behind a target.
    pub enum ProviderKind {
        /// OpenAI's own API.
        OpenAI,
        /// OpenAI's models on Azure.
        AzureOpenAI,
        /// Anthropic's messages: Claude.
        Anthropic,
        /// Google's Gemini API, with an API key.
        Gemini,
        /// Google Cloud's Vertex AI: Gemini and Claude.
        VertexAI,
        /// Amazon Bedrock, by its Converse API.
        Bedrock,
        /// Any server that speaks OpenAI's protocol: vLLM, Ollama, llama.cpp, Groq, Together, Mistral, DeepSeek, xAI, OpenRouter.
        OpenAICompatible,
    }
}

impl ProviderKind {
    /// The base URL where the provider has a fixed address; `None`: it has none, or one that
    /// follows from its options.
    pub fn default_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAI => Some("https://api.openai.com/v1"),
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
            Self::AzureOpenAI | Self::VertexAI | Self::Bedrock | Self::OpenAICompatible => None,
        }
    }

    /// Whether `spec.endpoint` is required: there is no address without it.
    pub fn needs_endpoint(self) -> bool {
        matches!(self, Self::AzureOpenAI | Self::OpenAICompatible)
    }

    /// The member of `spec` with what it wants to know beside the address.
    pub fn options(self) -> Option<&'static str> {
        match self {
            Self::AzureOpenAI => Some("azureOpenAI"),
            Self::VertexAI => Some("vertexAI"),
            Self::Bedrock => Some("bedrock"),
            Self::OpenAI | Self::Anthropic | Self::Gemini | Self::OpenAICompatible => None,
        }
    }

    /// Whether those are required.
    pub fn needs_options(self) -> bool {
        matches!(self, Self::VertexAI | Self::Bedrock)
    }

    /// How requests to it may be authenticated, the usual way first.
    pub fn auth_kinds(self) -> &'static [AuthKind] {
        match self {
            Self::OpenAI | Self::OpenAICompatible => {
                &[AuthKind::Bearer, AuthKind::Header, AuthKind::None]
            }
            Self::AzureOpenAI => {
                &[AuthKind::Header, AuthKind::Bearer, AuthKind::WorkloadIdentity, AuthKind::None]
            }
            Self::Anthropic => &[AuthKind::Header, AuthKind::Bearer, AuthKind::None],
            // A key as a bearer token is refused there.
            Self::Gemini => &[AuthKind::Header, AuthKind::None],
            Self::VertexAI => {
                &[AuthKind::GoogleServiceAccount, AuthKind::WorkloadIdentity, AuthKind::None]
            }
            // Bearer: Bedrock's API keys.
            Self::Bedrock => {
                &[AuthKind::AWSSigV4, AuthKind::Bearer, AuthKind::WorkloadIdentity, AuthKind::None]
            }
        }
    }

    /// The header, in lower case, in which it wants its key; `None`: none of its own, so that
    /// `auth.header` is required with [`AuthKind::Header`].
    pub fn key_header(self) -> Option<&'static str> {
        match self {
            Self::AzureOpenAI => Some("api-key"),
            Self::Anthropic => Some("x-api-key"),
            Self::Gemini => Some("x-goog-api-key"),
            Self::OpenAI | Self::VertexAI | Self::Bedrock | Self::OpenAICompatible => None,
        }
    }

    /// What a model has that states nothing: every endpoint of the dialect, Streaming and Tools.
    pub fn unstated_capabilities(self) -> CapabilitySet {
        let endpoints: &[Capability] = match self {
            Self::OpenAI => &[
                Capability::Chat,
                Capability::Completions,
                Capability::Embeddings,
                Capability::Responses,
                Capability::Images,
                Capability::Moderations,
                Capability::Speech,
            ],
            // Its filters are part of every answer; it has no endpoint for them.
            Self::AzureOpenAI => &[
                Capability::Chat,
                Capability::Completions,
                Capability::Embeddings,
                Capability::Responses,
                Capability::Images,
                Capability::Speech,
            ],
            Self::OpenAICompatible => &[
                Capability::Chat,
                Capability::Completions,
                Capability::Embeddings,
                Capability::Images,
                Capability::Moderations,
                Capability::Rerank,
                Capability::Speech,
            ],
            Self::Gemini | Self::VertexAI => &[Capability::Chat, Capability::Embeddings],
            Self::Anthropic | Self::Bedrock => &[Capability::Chat],
        };
        [Capability::Streaming, Capability::Tools].iter().chain(endpoints).copied().collect()
    }
}

closed! {
    /// How a request is authenticated at the provider.
    pub enum AuthKind {
        /// `Authorization: Bearer <key>`.
        Bearer,
        /// The key in a header of its own: the provider's, or `header.name`.
        Header,
        /// Requests are signed with an access key of AWS.
        AWSSigV4,
        /// `Authorization: Bearer <token>`; tokens are given for a key of a Google service account.
        GoogleServiceAccount,
        /// Tokens or keys that the provider's cloud gives for the routers' own identity.
        WorkloadIdentity,
        /// No credential.
        None,
    }
}

impl AuthKind {
    /// Whether a Secret holds the credential.
    pub fn needs_secret(self) -> bool {
        !matches!(self, Self::None | Self::WorkloadIdentity)
    }

    /// Whether one key of the Secret holds it, rather than several of fixed names.
    pub fn needs_secret_key(self) -> bool {
        matches!(self, Self::Bearer | Self::Header | Self::GoogleServiceAccount)
    }
}

closed! {
    /// What a model can do. A request that needs what a model lacks is not sent to it.
    pub enum Capability {
        /// `/v1/chat/completions`.
        Chat,
        /// `/v1/completions`.
        Completions,
        /// `/v1/embeddings`.
        Embeddings,
        /// `/v1/responses`. A model without it is asked in another dialect, and its answer translated.
        Responses,
        /// `/v1/images/generations`.
        Images,
        /// `/v1/moderations`.
        Moderations,
        /// `/v1/rerank`.
        Rerank,
        /// `/v1/audio/speech`.
        Speech,
        /// Answers as a stream of events.
        Streaming,
        /// Calls tools.
        Tools,
        /// Understands images.
        Vision,
        /// Hears or speaks audio.
        Audio,
        /// Reads documents such as PDF.
        Documents,
        /// Answers in a given JSON schema.
        JsonSchema,
        /// Thinks before it answers.
        Reasoning,
    }
}

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(u32);

impl CapabilitySet {
    /// This set and `capability`.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << (capability as u32))
    }

    /// Whether it is in the set.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & 1 << (capability as u32) != 0
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, in the catalog's order.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |c| self.has(*c))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        iter.into_iter().fold(Self::default(), Self::with)
    }
}

impl Serialize for CapabilitySet {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for CapabilitySet {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Vec::<Capability>::deserialize(d)?.into_iter().collect())
    }
}

closed! {
    /// An endpoint of the callers' API that is routed.
    pub enum Endpoint {
        /// `POST /v1/chat/completions`.
        ChatCompletions,
        /// `POST /v1/completions`.
        Completions,
        /// `POST /v1/embeddings`.
        Embeddings,
        /// `POST /v1/responses`.
        Responses,
        /// `POST /v1/messages`.
        Messages,
        /// `POST /v1/messages/count_tokens`.
        CountTokens,
        /// `POST /v1/images/generations`.
        Images,
        /// `POST /v1/moderations`.
        Moderations,
        /// `POST /v1/rerank`.
        Rerank,
        /// `POST /v1/audio/speech`.
        Speech,
    }
}

impl Endpoint {
    /// The path below `/v1/`, which is also the path below a target's base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat/completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens => "messages/count_tokens",
            Self::Images => "images/generations",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Speech => "audio/speech",
        }
    }

    /// The endpoint with this path below `/v1/`.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|e| e.path() == path)
    }

    /// What a model is capable of that serves it by itself; every kind of provider has one endpoint
    /// of its own for Chat.
    pub fn capability(self) -> Capability {
        match self {
            Self::ChatCompletions | Self::Messages | Self::CountTokens => Capability::Chat,
            Self::Completions => Capability::Completions,
            Self::Embeddings => Capability::Embeddings,
            Self::Responses => Capability::Responses,
            Self::Images => Capability::Images,
            Self::Moderations => Capability::Moderations,
            Self::Rerank => Capability::Rerank,
            Self::Speech => Capability::Speech,
        }
    }

    /// Whether a request goes to a provider as it came, or not at all: no other dialect has a form
    /// of it.
    pub fn passes_only(self) -> bool {
        matches!(self, Self::Images | Self::Moderations | Self::Rerank | Self::Speech)
    }

    /// Whether what is asked is a text, which has a subject and tokens: not vectors, scores, images
    /// or sounds.
    pub fn answers_in_text(self) -> bool {
        !self.passes_only() && self != Self::Embeddings
    }

    /// What a model must have one of to serve it: by itself, or through a translation.
    pub fn served_by(self) -> CapabilitySet {
        let own = CapabilitySet::default().with(self.capability());
        match self {
            Self::Embeddings | Self::Images | Self::Moderations | Self::Rerank | Self::Speech => {
                own
            }
            Self::ChatCompletions
            | Self::Completions
            | Self::Responses
            | Self::Messages
            | Self::CountTokens => own.with(Capability::Chat).with(Capability::Responses),
        }
    }
}
