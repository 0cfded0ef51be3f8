//! What the families of models take: data that ages with the models. A family is matched on the name
//! that aliases use, then on the provider's, prefixes and dates stripped. Where nothing matches, an
//! Azure deployment or an inference profile, the rules are those of the newest family.

use crate::neutral::Effort::{self, High, Low, Max, Medium, Minimal, Xhigh};

/// How a Claude model can think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// `enabled` with a budget, or not.
    Budget,
    /// `adaptive` with an effort, or `disabled`.
    Adaptive,
    /// `adaptive`, or `between_tools` at least.
    BetweenTools,
    /// `adaptive`, always.
    Always,
}

/// Whether a Claude model can be made to call a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// Yes.
    Yes,
    /// Not while it thinks.
    NotThinking,
    /// Never.
    Never,
}

/// The rules of some Claude models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, of no order")]
pub struct Claude {
    /// The lines, and the version from which this holds.
    pub lines: &'static [&'static str],
    /// Major and minor.
    pub from: (u32, u32),
    /// Thinking.
    pub thinking: Thinking,
    /// The values of `output_config.effort`; none: it has no such member.
    pub efforts: &'static [Effort],
    /// Whether it takes a temperature, `top_p`, `top_k` other than the default.
    pub sampling: bool,
    /// Whether temperature and `top_p` may not be sent together.
    pub one_sampling: bool,
    /// Forced tools.
    pub forced: Forced,
    /// Whether a last assistant message is continued.
    pub prefill: bool,
    /// Whether `system` is a role within the conversation.
    pub late_system: bool,
    /// Whether it compares the conversation with what produced each thinking block.
    pub preserved: bool,
    /// Whether it answers in a schema.
    pub format: bool,
}

const ALL: &[&str] = &[];
const EFFORTS: &[Effort] = &[Low, Medium, High, Xhigh, Max];

/// The newest Claude: the rules of what no row knows.
pub(crate) const NEWEST: Claude = Claude {
    lines: &["opus"],
    from: (5, 5),
    thinking: Thinking::Always,
    efforts: EFFORTS,
    sampling: false,
    one_sampling: true,
    forced: Forced::Never,
    prefill: false,
    late_system: true,
    preserved: true,
    format: true,
};

/// The newest first; the first row of the model's line and at most its version holds.
const CLAUDE: &[Claude] = &[
    NEWEST,
    Claude { lines: &["fable", "mythos"], from: (5, 1), ..NEWEST },
    Claude { lines: &["sonnet"], from: (5, 5), thinking: Thinking::BetweenTools, ..NEWEST },
    Claude {
        lines: &["haiku"],
        from: (5, 5),
        thinking: Thinking::Adaptive,
        forced: Forced::Yes,
        ..NEWEST
    },
    Claude { lines: &["opus"], from: (5, 0), late_system: true, ..FIVE },
    FIVE,
    Claude { lines: &["opus"], from: (4, 8), late_system: true, ..FIVE },
    Claude { lines: &["opus"], from: (4, 7), ..FIVE },
    Claude { lines: ALL, from: (4, 6), efforts: &[Low, Medium, High, Max], sampling: true, ..FIVE },
    Claude { lines: &["opus"], from: (4, 5), efforts: &[Low, Medium, High], ..OLD },
    Claude { lines: ALL, from: (4, 5), ..OLD },
    Claude { lines: ALL, from: (4, 1), format: false, ..OLD },
    Claude { lines: ALL, from: (0, 0), format: false, one_sampling: false, ..OLD },
];

const FIVE: Claude = Claude {
    lines: ALL,
    from: (5, 0),
    thinking: Thinking::Adaptive,
    forced: Forced::NotThinking,
    late_system: false,
    preserved: false,
    ..NEWEST
};

const OLD: Claude = Claude {
    lines: ALL,
    from: (4, 5),
    thinking: Thinking::Budget,
    efforts: &[],
    sampling: true,
    one_sampling: true,
    forced: Forced::NotThinking,
    prefill: true,
    late_system: false,
    preserved: false,
    format: true,
};

/// The rules of some Gemini models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gemini {
    /// The version from which this holds.
    pub from: (u32, u32),
    /// Whether it is of the line Pro; `None`: any.
    pub pro: Option<bool>,
    /// The values of `thinkingLevel`; none: it takes a budget, up to [`Gemini::budget`].
    pub levels: &'static [Effort],
    /// The least and the most tokens of a budget; (0, 0): it does not think.
    pub budget: (u64, u64),
    /// From Gemini 3 on: signatures on calls, media resolution, media in results, schemas beside
    /// tools, one candidate.
    pub third: bool,
    /// Whether a last turn of the model is continued.
    pub prefill: bool,
}

const GEMINI: &[Gemini] = &[
    Gemini { from: (3, 6), pro: Some(true), levels: &[Low, Medium, High], prefill: false, ..THIRD },
    NEWEST_GEMINI,
    Gemini { from: (3, 1), pro: Some(true), levels: &[Low, Medium, High], ..THIRD },
    Gemini { from: (3, 0), pro: Some(true), levels: &[Low, High], ..THIRD },
    THIRD,
    Gemini { from: (2, 5), pro: Some(true), budget: (128, 32_768), ..SECOND },
    Gemini { from: (2, 5), budget: (0, 24_576), ..SECOND },
    SECOND,
];

/// The newest Gemini: the rules of what no row knows.
pub(crate) const NEWEST_GEMINI: Gemini = Gemini { from: (3, 6), prefill: false, ..THIRD };

const THIRD: Gemini = Gemini {
    from: (3, 0),
    pro: None,
    levels: &[Minimal, Low, Medium, High],
    budget: (0, 0),
    third: true,
    prefill: true,
};

const SECOND: Gemini =
    Gemini { from: (0, 0), pro: None, levels: &[], budget: (0, 0), third: false, prefill: true };

/// The rules of some of OpenAI's models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenAi {
    /// How the name begins.
    pub prefix: &'static str,
    /// The efforts of reasoning; none: it does not reason.
    pub efforts: &'static [Effort],
    /// Whether the effort `none` is known.
    pub off: bool,
    /// When its chat endpoint refuses tools.
    pub chat_tools: ChatTools,
    /// Whether `stop` is taken.
    pub stop: bool,
}

/// When the chat endpoint of a model refuses tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatTools {
    /// Never.
    Taken,
    /// With an effort beside them.
    NotWithEffort,
    /// Unless the effort is `none`.
    OnlyWithNone,
}

/// The first that the name begins with holds.
const OPENAI: &[OpenAi] = &[
    OpenAi { prefix: "gpt-5.5", chat_tools: ChatTools::NotWithEffort, ..FIVE_TWO },
    OpenAi { prefix: "gpt-5.4", chat_tools: ChatTools::NotWithEffort, ..FIVE_TWO },
    OpenAi { prefix: "gpt-5.3", ..FIVE_TWO },
    OpenAi { prefix: "gpt-5.2", ..FIVE_TWO },
    OpenAi { prefix: "gpt-5.1", efforts: &[Minimal, Low, Medium, High], ..FIVE_TWO },
    OpenAi { prefix: "gpt-5.6", ..NEWEST_OPENAI },
    OpenAi { prefix: "gpt-5.", ..NEWEST_OPENAI },
    OpenAi {
        prefix: "gpt-5",
        efforts: &[Minimal, Low, Medium, High],
        off: false,
        chat_tools: ChatTools::Taken,
        stop: false,
    },
    OpenAi { prefix: "o4-mini", ..O_SERIES },
    OpenAi { prefix: "o3", ..O_SERIES },
    OpenAi { prefix: "o1", stop: true, ..O_SERIES },
    OpenAi { prefix: "gpt-oss", stop: true, ..O_SERIES },
    OpenAi { prefix: "gpt-4", ..PLAIN },
    OpenAi { prefix: "gpt-3", ..PLAIN },
    OpenAi { prefix: "chatgpt", ..PLAIN },
    OpenAi { prefix: "text-", ..PLAIN },
    OpenAi { prefix: "ft:", ..PLAIN },
];

const FIVE_TWO: OpenAi = OpenAi {
    prefix: "gpt-5.2",
    efforts: &[Minimal, Low, Medium, High, Xhigh],
    off: true,
    chat_tools: ChatTools::Taken,
    stop: false,
};

const NEWEST_OPENAI: OpenAi = OpenAi {
    prefix: "",
    efforts: EFFORTS,
    off: true,
    chat_tools: ChatTools::OnlyWithNone,
    stop: false,
};

const O_SERIES: OpenAi = OpenAi {
    prefix: "o",
    efforts: &[Low, Medium, High],
    off: false,
    chat_tools: ChatTools::Taken,
    stop: false,
};

const PLAIN: OpenAi =
    OpenAi { prefix: "", efforts: &[], off: false, chat_tools: ChatTools::Taken, stop: true };

/// Who made a model, and so whose rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Claude.
    Claude(Claude),
    /// Gemini.
    Gemini(Gemini),
    /// OpenAI's.
    OpenAi(OpenAi),
    /// Amazon's Nova.
    Nova,
    /// Mistral's.
    Mistral,
    /// Another, of which nothing special is known.
    Other,
}

/// What a name looks like without prefixes, dates and versions of an API: what a family's signature
/// is bound to.
pub fn stripped(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let name = name.split(['@', ':']).next().unwrap_or_default();
    let name = ["claude", "gemini", "gpt-", "nova", "mistral", "mixtral", "ministral", "pixtral"]
        .iter()
        .find_map(|start| name.find(start).map(|at| &name[at..]))
        .unwrap_or(name);
    let kept: Vec<&str> = name
        .split('-')
        .filter(|word| !(word.len() >= 6 && word.bytes().all(|b| b.is_ascii_digit())))
        .filter(|word| !matches!(*word, "v1" | "v2" | "latest" | "preview"))
        .collect();
    kept.join("-")
}

impl Family {
    /// The family of this name, if one is known.
    pub fn of(name: &str) -> Option<Self> {
        let name = stripped(name);
        if let Some(rest) = name.strip_prefix("claude-") {
            return Some(Self::Claude(claude(rest)));
        }
        if let Some(rest) = name.strip_prefix("gemini-") {
            let version = numbers(rest);
            let pro = rest.contains("pro");
            let row = GEMINI
                .iter()
                .find(|row| version >= row.from && row.pro.is_none_or(|wanted| wanted == pro));
            return Some(Self::Gemini(row.copied().unwrap_or(SECOND)));
        }
        if let Some(row) = OPENAI.iter().find(|row| name.starts_with(row.prefix)) {
            return Some(Self::OpenAi(*row));
        }
        let starts = |words: &[&str]| words.iter().any(|word| name.contains(word));
        match () {
            () if starts(&["nova"]) => Some(Self::Nova),
            () if starts(&["mistral", "mixtral", "ministral", "pixtral"]) => Some(Self::Mistral),
            () if starts(&[
                "llama", "deepseek", "qwen", "titan", "command", "jamba", "kimi", "grok", "glm",
                "minimax", "palmyra", "gemma",
            ]) =>
            {
                Some(Self::Other)
            }
            () => None,
        }
    }

    /// The newest Claude.
    pub fn newest_claude() -> Self {
        Self::Claude(NEWEST)
    }

    /// The newest Gemini.
    pub fn newest_gemini() -> Self {
        Self::Gemini(NEWEST_GEMINI)
    }

    /// The newest of OpenAI's.
    pub fn newest_openai() -> Self {
        Self::OpenAi(NEWEST_OPENAI)
    }

    /// Claude's rules.
    pub fn claude(&self) -> Option<&Claude> {
        if let Self::Claude(rules) = self { Some(rules) } else { None }
    }
}

/// `opus-4-5`, `3-5-sonnet`, `fable-5-1`.
fn claude(rest: &str) -> Claude {
    let version = numbers(rest);
    let row = CLAUDE.iter().find(|row| {
        version >= row.from && (row.lines.is_empty() || row.lines.iter().any(|l| rest.contains(l)))
    });
    // A name without a version says nothing: the newest.
    if version == (0, 0) { NEWEST } else { row.copied().unwrap_or(NEWEST) }
}

/// The first two numbers of a name: its version.
fn numbers(name: &str) -> (u32, u32) {
    let mut found = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .skip_while(|word| word.parse::<u32>().is_err())
        .map(|word| word.parse::<u32>().unwrap_or(0));
    (found.next().unwrap_or(0), found.next().unwrap_or(0))
}

/// The effort of these that is nearest to what is asked: the same, else the next lower, else the
/// least.
pub fn nearest(efforts: &[Effort], wanted: Effort) -> Option<Effort> {
    efforts.iter().copied().filter(|e| *e <= wanted).max().or_else(|| efforts.first().copied())
}

#[cfg(test)]
#[path = "family_tests.rs"]
mod tests;
