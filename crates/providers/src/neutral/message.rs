//! Messages and their parts, of a conversation's history and of an answer alike.

use crate::tree::Json;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator; OpenAI's `developer` too.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool: every part is a [`Part::Result`].
    Tool,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Whether it stands behind the first message that is not of the system.
    pub late: bool,
    /// The participant's name.
    pub name: Option<String>,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text, and what it cites.
    Text {
        /// The text.
        text: String,
        /// What it cites.
        citations: Vec<Citation>,
        /// Gemini's signature on it.
        signature: Option<Signature>,
    },
    /// An image.
    Image(Media),
    /// Sound.
    Audio(Media),
    /// A document.
    Document(Document),
    /// A search result: title, source, content.
    Search {
        /// Its title.
        title: String,
        /// Where it was found.
        source: String,
        /// What it says.
        text: String,
        /// Whether an answer may cite it.
        citations: bool,
    },
    /// A call of a tool.
    Call(Call),
    /// What a tool returned.
    Result(ToolResult),
    /// What the model thought.
    Reasoning(Reasoning),
    /// The model's refusal, in words.
    Refusal(String),
    /// A prompt cache may be cut here. The time to live, as its provider writes it.
    Cache(Option<String>),
    /// A file that lives at one provider.
    File {
        /// The member that names it.
        field: &'static str,
        /// Its id.
        id: String,
    },
    /// An item of a hosted tool, which one dialect alone understands.
    Hosted(Json),
}

impl Part {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), citations: Vec::new(), signature: None }
    }

    /// Whether it is text of white space only.
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Text { text, .. } if text.trim().is_empty())
    }
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here, in base64.
    Base64(String),
    /// At an address that the provider is to fetch.
    Url(String),
}

/// An image or a sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Where it is.
    pub source: Source,
    /// Its media type (`image/png`); empty where nothing tells it.
    pub media_type: String,
    /// How exactly an image is to be looked at: OpenAI's `low`, `high`, `auto`, `original`.
    pub detail: Option<String>,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it is; plain text is [`Document::text`] instead.
    pub source: Option<Source>,
    /// Its text, where it is plain text.
    pub text: Option<String>,
    /// Its media type.
    pub media_type: String,
    /// Its title or file name.
    pub title: Option<String>,
    /// What the caller says of it.
    pub context: Option<String>,
    /// Whether an answer may cite it.
    pub citations: bool,
}

impl Document {
    /// What stands for it where only text can be sent: title, context, text.
    pub fn as_text(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        let head = [self.title.as_deref(), self.context.as_deref()];
        let lines: Vec<&str> = head.into_iter().flatten().chain([text]).collect();
        Some(lines.join("\n"))
    }
}

/// How a tool's input is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A JSON object.
    Function,
    /// Free text.
    Custom,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its id; empty where the provider gave none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The namespace of the name, in Responses.
    pub namespace: Option<String>,
    /// The input, as text: of a function it should be a JSON object.
    pub arguments: String,
    /// How the input is written.
    pub kind: CallKind,
    /// Gemini's signature on it.
    pub signature: Option<Signature>,
}

/// What a tool returned.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The call that it answers.
    pub id: String,
    /// Whether the tool failed.
    pub error: bool,
    /// How the call's input was written.
    pub kind: CallKind,
    /// What it says.
    pub parts: Vec<Part>,
}

/// What a model thought, and the proof of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// The text; empty where it is hidden.
    pub text: String,
    /// The signature of the text, or the encrypted text.
    pub signature: Option<Signature>,
    /// The provider hides the text altogether (Claude's `redacted_thinking`).
    pub redacted: bool,
    /// The id of the item, in Responses.
    pub id: Option<String>,
}

/// A provider's proof of what its model thought. Only who issued it can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Where it comes from: the tag of a target and family ([`crate::origin`]), or the dialect that
    /// the caller's protocol implies.
    pub origin: crate::origin::Origin,
    /// The signature as its issuer wrote it.
    pub data: String,
}

/// What a piece of an answer is founded on.
#[derive(Clone, Debug, PartialEq)]
pub enum Citation {
    /// A page of the web.
    Url {
        /// Its address.
        url: String,
        /// Its title.
        title: String,
        /// What it says there.
        quote: String,
        /// Where the text that cites begins, in code points of its part, if that is known.
        start: Option<usize>,
        /// Where it ends.
        end: Option<usize>,
    },
    /// A place in a document of the request, as Anthropic writes it.
    Document(Json),
}
