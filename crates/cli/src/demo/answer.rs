//! What the demo says: who it plays and what it was asked, with honest counts of tokens. The dialects
//! write it down.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    ask::{Ask, Choice, Format, Tool},
    sample,
};

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Hex digits that no other answer has.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// The model that it plays.
    pub(super) model: String,
    /// What it thought, if it is to think aloud.
    pub(super) thought: Option<String>,
    /// What it says; empty beside calls of which nothing is to be said.
    pub(super) text: String,
    /// The tools that it calls.
    pub(super) calls: Vec<Call>,
    /// Why it ends.
    pub(super) finish: Finish,
    /// The stop sequence that ended it.
    pub(super) stop: Option<String>,
    /// Tokens of the input, of the thought, and of all that it writes, the thought among it.
    pub(super) input: usize,
    pub(super) thinking: usize,
    pub(super) output: usize,
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The tool.
    pub(super) name: String,
    /// Its arguments: an object, or a string for a tool that takes free text.
    pub(super) arguments: Value,
    /// Hex digits of its own.
    pub(super) id: String,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// It is complete.
    Stop,
    /// A stop sequence came.
    StopSequence,
    /// It is as long as it may be.
    Length,
    /// Tools are to be called.
    Calls,
}

impl Answer {
    /// The answer; `seed` tells it from all others.
    pub(super) fn to(ask: &Ask, seed: &[u8]) -> Self {
        let digest = routing::Digest::of_parts([ask.model.as_bytes(), seed]);
        let id = hex::encode(digest.as_bytes().get(..12).unwrap_or_default());
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let calls = calls(ask, &id);
        let (text, finish, stop) = match (&ask.format, calls.as_slice()) {
            (_, [first, ..]) => (format!("I ask {}.", first.name), Finish::Calls, None),
            (Format::Json(schema), []) => (sample::of(schema).to_string(), Finish::Stop, None),
            (Format::Text, []) => shortened(said(ask), ask),
        };
        let thought = ask.thinks.then(|| "Let me see what to say to that.".to_owned());
        let thinking = thought.as_deref().map_or(0, count);
        let arguments: usize = calls.iter().map(|c| count(&c.arguments.to_string()) + 1).sum();
        let output = (count(&text) + arguments + thinking).max(1);
        let (model, input) = (ask.model.clone(), ask.talk.tokens());
        Self { id, created, model, thought, text, calls, finish, stop, input, thinking, output }
    }
}

impl Call {
    /// The arguments as a provider sends them piece by piece: the same JSON, in two pieces.
    pub(super) fn pieces(&self) -> Vec<String> {
        let text = self.arguments_text();
        let half = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (first, second) = text.split_at(half);
        [first, second].into_iter().filter(|p| !p.is_empty()).map(str::to_owned).collect()
    }

    /// The arguments as text.
    pub(super) fn arguments_text(&self) -> String {
        match &self.arguments {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// How many tokens a text is: its words.
pub(super) fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The words of a text with the space behind them.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

/// What a provider signs: only the text that it signed itself verifies.
pub(super) fn signature(dialect: &str, text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let parts = [b"signature of the demo".as_slice(), dialect.as_bytes(), text.as_bytes()];
    STANDARD.encode(routing::Digest::of_parts(parts).as_bytes())
}

/// The tools that are called: those whose names the prompt has, else the first that may be.
fn calls(ask: &Ask, id: &str) -> Vec<Call> {
    let may = |tool: &&Tool| match &ask.choice {
        Choice::Must(names) if !names.is_empty() => names.contains(&tool.name),
        _ => true,
    };
    let wanted = match ask.choice {
        Choice::Never => false,
        Choice::Must(_) => true,
        Choice::Auto => ask.talk.results.is_empty(),
    };
    let tools: Vec<&Tool> = ask.tools.iter().filter(may).collect();
    let (Some(first), true) = (tools.first(), wanted) else { return Vec::new() };
    let named: Vec<&Tool> =
        tools.iter().copied().filter(|tool| ask.talk.prompt.contains(&tool.name)).collect();
    let most = if ask.single { 1 } else { named.len() };
    let chosen = if named.is_empty() { vec![*first] } else { named };
    let call = |(n, tool): (usize, &Tool)| {
        let arguments =
            if tool.schema.is_null() { json!("demo") } else { sample::of(&tool.schema) };
        Call { name: tool.name.clone(), arguments, id: format!("{id}{n:02x}") }
    };
    chosen.into_iter().take(most.max(1)).enumerate().map(call).collect()
}

/// What is said when nothing is called.
fn said(ask: &Ask) -> String {
    let talk = &ask.talk;
    let mut tail: Vec<&str> = talk.prompt.split_whitespace().rev().take(12).collect();
    tail.reverse();
    let mut text = format!("This is {} of the demo upstream", ask.model);
    let media = [(talk.images, "image"), (talk.documents, "document"), (talk.sounds, "sound")];
    for (number, name) in media.into_iter().filter(|(number, _)| *number > 0) {
        let many = if number == 1 { "" } else { "s" };
        text.push_str(&format!(", and I got {number} {name}{many}"));
    }
    if !talk.results.is_empty() {
        text.push_str(&format!(". The tools said: {}", talk.results.join("; ")));
    } else if tail.is_empty() {
        text.push_str(", and you asked me nothing.");
    } else {
        text.push_str(&format!(". You asked: {}", tail.join(" ")));
    }
    text
}

/// The text up to a stop sequence or to the most tokens.
fn shortened(text: String, ask: &Ask) -> (String, Finish, Option<String>) {
    let at = |stop: &String| text.find(stop.as_str()).map(|at| (at, stop.clone()));
    let first = ask.stops.iter().filter(|s| !s.is_empty()).filter_map(at).min();
    if let Some((at, stop)) = first {
        return (text[..at].to_owned(), Finish::StopSequence, Some(stop));
    }
    let limit = ask.limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX);
    if limit < count(&text) {
        return (words(&text).take(limit).collect(), Finish::Length, None);
    }
    (text, Finish::Stop, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(prompt: &str) -> Ask {
        let mut ask = Ask { model: "m-1".to_owned(), ..Ask::default() };
        ask.talk.user();
        ask.talk.says(prompt);
        ask
    }

    fn tool(name: &str) -> Tool {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        Tool { name: name.to_owned(), schema }
    }

    #[test]
    fn an_answer_says_who_and_what() {
        let answer = Answer::to(&ask("what is love"), b"1");
        assert!(answer.text.contains("m-1") && answer.text.ends_with("what is love"));
        assert_eq!((answer.input, answer.finish), (3, Finish::Stop));
        assert_ne!(answer.id, Answer::to(&ask("what is love"), b"2").id);
    }

    #[test]
    fn tools_are_called_until_they_have_answered() {
        let mut ask = ask("use get_time and get_weather");
        ask.tools = ["get_weather", "get_time", "other"].map(tool).to_vec();
        let names = |ask: &Ask| -> Vec<String> {
            Answer::to(ask, b"").calls.into_iter().map(|c| c.name).collect()
        };
        assert_eq!(names(&ask), ["get_weather", "get_time"]);
        ask.single = true;
        assert_eq!(names(&ask), ["get_weather"]);
        ask.choice = Choice::Must(vec!["other".to_owned()]);
        assert_eq!(names(&ask), ["other"]);
        ask.choice = Choice::Never;
        assert!(names(&ask).is_empty());
        ask.choice = Choice::Auto;
        ask.talk.calls("1");
        assert!(ask.talk.gives("1", "sunny".to_owned()));
        let answer = Answer::to(&ask, b"");
        assert!(answer.calls.is_empty() && answer.text.contains("The tools said: sunny"));
    }

    #[test]
    fn limits_and_stops_shorten() {
        let mut ask = ask("one two three");
        ask.limit = Some(2);
        let answer = Answer::to(&ask, b"");
        assert_eq!((answer.text.as_str(), answer.finish), ("This is ", Finish::Length));
        ask.stops = vec!["demo".to_owned()];
        let answer = Answer::to(&ask, b"");
        assert_eq!(
            (answer.text.as_str(), answer.finish),
            ("This is m-1 of the ", Finish::StopSequence)
        );
    }

    #[test]
    fn pieces_are_the_whole() {
        let call =
            Call { name: String::new(), arguments: json!({"a": "ü€"}), id: String::new() };
        assert_eq!(call.pieces().concat(), call.arguments_text());
        assert_eq!(call.pieces().len(), 2);
    }
}
