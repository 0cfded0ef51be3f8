//! What becomes of a request and its answer between protocols: the tables that the translation itself
//! reads.

use std::collections::BTreeSet;

use providers::{
    dialect::{
        Dialect,
        quirks::{ChoiceForms, EffortForm, PLAIN, QUIRKS, Quirks},
    },
    protocol::{Protocol, finish_word},
    rules::{
        Column, FIELDS, Field, Row,
        error::{Where, signs, told},
        events,
        finish::{Ends, FINISHES, Why},
        usage::{Part, Step, counts, members},
    },
};
use routing::{OutcomeClass, outcome::Fault};

use super::{head, row};

/// The rules of every field.
pub(super) fn fields() -> String {
    let mut page = String::from("# Translation: every field\n\n");
    page += "Where the protocol that a caller speaks is not the one that a target speaks, each \
             field of the request meets one of four rules. Between the same protocol on both sides \
             a body is passed through, and none of this applies.\n\n\
             - **M**: mapped. The target says the same.\n\
             - **A**: adapted, that is clamped or rewritten; a warning in the metadata says how.\n\
             - **D**: dropped, a hint without which the answer is as right; a warning says so.\n\
             - **R**: refused. The candidate is left out; only when none is left does the caller \
             get a 400 that names the field.\n\n\
             Where it depends on the model or the value, the letter is left out and the words say \
             on what. A value that is the documented default is left out without a warning.\n\n";
    let mut titles = vec!["Field", "Called"];
    titles.extend(Column::ALL.map(Column::name));
    page += &head(&titles);
    for field in FIELDS {
        let mut cells = vec![words(&format!("{:?}", field.field)), names(field)];
        cells.extend(field.cells.iter().map(|cell| match (cell.rule.letter(), cell.says) {
            (letter, "") => letter.to_owned(),
            // Several letters: the sentence says which.
            (letter, says) if letter.len() > 1 => says.to_owned(),
            (letter, says) => format!("{letter}: {says}"),
        }));
        page += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    page
}

/// What a row's field is called, by each protocol once.
fn names(row: &Row) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in row.names.iter().filter(|name| !name.is_empty()) {
        let name = code(name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// `LateSystem` as "Late system".
fn words(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_uppercase() {
            out.push(' ');
            out.extend(letter.to_lowercase());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Finish reasons and the events of streams.
pub(super) fn answers() -> String {
    let mut page = String::from("# Translation: answers and streams\n\n## Finish reasons\n\n");
    page += "What a provider says, and what that is. A word that is not here is Stop if there is \
             content, else an invalid answer. An answer with calls that says that it stopped ended \
             to call tools.\n\n";
    page += &head(&["Dialect", "Finish reason", "Is"]);
    for (dialect, words, says) in FINISHES {
        let words: Vec<_> =
            words.iter().map(|w| code(if w.is_empty() { "\"\"" } else { w })).collect();
        let says = match says {
            Ends::NotYet => "no end yet".to_owned(),
            Ends::Is(why) => why.name().to_owned(),
            Ends::Maybe => "Stop if there is content, else an invalid answer".to_owned(),
            Ends::Fails(fault) => format!("a failure: {}", fault.name()),
        };
        page += &row(&[dialect.name(), &words.join(", "), &says]);
    }
    page += "\nWhat the caller is told:\n\n";
    let mut titles = vec!["Reason"];
    titles.extend(Protocol::ALL.map(Protocol::name));
    page += &head(&titles);
    for why in Why::ALL {
        let mut cells = vec![why.name().to_owned()];
        cells.extend(Protocol::ALL.map(|protocol| code(&finish_word(protocol, &why.into()))));
        page += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    page += "\n## Streams\n\nA provider's stream has ended well:\n\n";
    page += &head(&["Dialect", "When", "Then"]);
    for dialect in Dialect::ALL {
        let (when, then) = events::ended(dialect);
        page += &row(&[dialect.name(), when, then]);
    }
    page += "\nOne that ends otherwise is an error, in the caller's shape; it never ends as if all \
             were well. A caller gets, of an answer that thinks, speaks and calls a tool:\n\n";
    page += &head(&titles_of_streams());
    let shown = Protocol::ALL.map(events::shown);
    for at in 0..shown[0].len() {
        let mut cells = vec![shown[0][at].what.to_owned()];
        for protocol in &shown {
            let events: Vec<_> = protocol[at].events.iter().map(|event| code(event)).collect();
            cells.push(events.join("<br>"));
        }
        page += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    page
}

fn titles_of_streams() -> Vec<&'static str> {
    let mut titles = vec!["What happens"];
    titles.extend(Protocol::ALL.map(Protocol::name));
    titles
}

/// How usage is counted.
pub(super) fn usage() -> String {
    let mut page = String::from("# Translation: usage\n\n## From a provider\n\n");
    page += "Each part is counted, priced and limited by itself; none is counted twice. No count goes \
             below 0. Where servers have several names for a member, the first that is there counts; \
             `NAME[AUDIO]` is the `tokenCount` of the items of that modality.\n\n";
    let mut titles = vec!["Part"];
    titles.extend(Dialect::ALL.map(Dialect::name));
    page += &head(&titles);
    for part in Part::ALL {
        let mut cells = vec![part.name().to_owned()];
        cells.extend(Dialect::ALL.map(|dialect| {
            let found = counts(dialect).iter().find(|(counted, _)| *counted == part);
            found.map_or_else(|| "-".to_owned(), |(_, list)| steps(list))
        }));
        page += &row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    page += "\n- OpenAI's counting: where the total is that of prompt, completion and reasoning \
             together, the server left reasoning out of the completion, and it is added to the \
             output.\n\
             - Anthropic: what is told later in a stream wins; iterations of type `compaction` come \
             on top. What is written to a cache is told by its time to live (`cache_creation`; at \
             Bedrock `cacheDetails`).\n\
             - A relay's `cost` (OpenRouter) is `providerCost` in the metadata of the answer; nothing \
             is priced by it.\n\
             - A provider that states no usage: it is estimated, and marked so.\n\n\
             ## To the caller\n\n\
             What is passed through keeps its own usage. A translated answer has:\n\n";
    page += &head(&["Protocol", "Member", "Is the sum of"]);
    for protocol in Protocol::ALL {
        for (path, parts) in members(protocol) {
            let names: Vec<_> = parts.iter().map(|part| part.name()).collect();
            let names = match names.as_slice() {
                [] => "cache write by its time to live; null where that is neither 5m nor 1h"
                    .to_owned(),
                names => names.join(", "),
            };
            page += &row(&[protocol.name(), &code(path), &names]);
        }
    }
    page
}

fn steps(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        let (sign, names) = match step {
            Step::Plus(names) => (if out.is_empty() { "" } else { " + " }, names),
            Step::Minus(names) => (" \u{2212} ", names),
        };
        let names: Vec<_> = names.iter().map(|name| code(name)).collect();
        out += sign;
        out += &match names.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join(" or ")),
        };
    }
    out
}

/// The signs of errors, and what callers are told.
pub(super) fn errors() -> String {
    let mut page = String::from("# Translation: errors\n\n## From a provider to a class\n\n");
    page += "The class of a provider's error is told by its code, then its words, then its status; \
             it decides whether the next candidate is tried. Case does not matter, and words may \
             stand anywhere in the message.\n\n";
    page += &head(&["Dialect", "Where", "Says", "Statuses", "Class"]);
    for sign in signs() {
        let place = match sign.place {
            Where::Code => "code",
            Where::Message => "message",
        };
        let says: Vec<_> = sign.words.iter().map(|word| code(word)).collect();
        let statuses: Vec<_> = sign.statuses.iter().map(ToString::to_string).collect();
        let statuses = if statuses.is_empty() { "any".to_owned() } else { statuses.join(", ") };
        let dialect = sign.dialect.map_or("all", Dialect::name);
        page += &row(&[dialect, place, &says.join(" … "), &statuses, sign.class.name()]);
    }
    page += "\n## From a class to the caller\n\nWhen nothing else is tried. The provider's message \
             is kept, keys removed from it.\n\n";
    page += &head(&["Class", "Status", "OpenAI `type`", "OpenAI `code`", "Anthropic `type`"]);
    let classes = Fault::ALL.iter().map(|fault| OutcomeClass::Fault(*fault));
    for class in classes.chain([OutcomeClass::InvalidRequest]) {
        let openai = told(class, Protocol::Chat);
        let anthropic = told(class, Protocol::Messages);
        let status =
            openai.status.map_or("as the provider's".to_owned(), |s| s.as_u16().to_string());
        let name = class.to_string();
        let openai_code = match class {
            OutcomeClass::InvalidRequest => "the provider's".to_owned(),
            _ => code(openai.code.as_deref().unwrap_or_default()),
        };
        page += &row(&[&name, &status, &code(&openai.kind), &openai_code, &code(&anthropic.kind)]);
    }
    page
}

/// What compatible servers want otherwise.
pub(super) fn servers() -> String {
    let mut page = String::from("# Compatible servers\n\n");
    page += "Servers that speak OpenAI's protocol, told by the host or port of the target's URL, and \
             what each refuses or wants otherwise: what a translated request is written by. One that \
             is not here is taken to be as OpenAI's documents say.\n\n";
    page += &head(&["Server", "Known by", "Left out", "Refused", "Otherwise"]);
    for server in QUIRKS {
        let hosts: Vec<_> = server.hosts.iter().map(|host| code(host)).collect();
        page += &row(&[
            server.name,
            &hosts.join(", "),
            &fields_of(server.dropped),
            &fields_of(server.refused),
            &otherwise(server).join("; "),
        ]);
    }
    page
}

fn fields_of(fields: &[Field]) -> String {
    let names: BTreeSet<String> =
        fields.iter().map(|field| code(field.name(Protocol::Chat))).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn otherwise(server: &Quirks) -> Vec<String> {
    let mut out = Vec::new();
    for (field, name) in server.renamed.iter().filter(|renamed| !PLAIN.renamed.contains(renamed)) {
        out.push(format!("{} is {}", code(field.name(Protocol::Chat)), code(name)));
    }
    let mut say = |when: bool, what: &str| {
        if when {
            out.push(what.to_owned());
        }
    };
    say(
        server.max_tokens != PLAIN.max_tokens,
        &format!("the limit is {}", code(server.max_tokens)),
    );
    say(server.developer, "knows the role `developer`");
    say(server.ids.exact, &format!("ids of calls of {} letters and digits", server.ids.max));
    say(server.system_first, "the system message first, and only there");
    say(server.alternate, "user and assistant must alternate");
    say(server.no_user_after_tool, "an assistant between a tool and a user");
    let mark = server.prefill.unwrap_or_default();
    say(!mark.is_empty(), &format!("a message to go on with is marked `{mark}`"));
    let choice = match server.choice {
        ChoiceForms::All => "",
        ChoiceForms::Any => "`tool_choice` required is `any`",
        ChoiceForms::AutoNone => "`tool_choice` auto and none only",
        ChoiceForms::NotThinking => "a forced `tool_choice` turns thinking off",
        ChoiceForms::RequiredAsAuto => "`tool_choice` required is sent as auto",
    };
    say(!choice.is_empty(), choice);
    say(!server.strict, "tools are not strict");
    say(server.parallel_asked, "several calls at once must be asked for");
    let effort = match server.effort {
        EffortForm::Effort => "",
        EffortForm::EnableThinking => "thinking by `enable_thinking` and `thinking_budget`",
        EffortForm::ThinkingType => "thinking by `thinking.type`",
        EffortForm::Google => "thinking by `extra_body.google.thinking_config`",
    };
    say(!effort.is_empty(), effort);
    say(server.returns_reasoning, "reasoning goes back with calls");
    say(!server.stream_options, "no `stream_options`");
    say(server.tool_names, "results carry the tool's name");
    say(server.parses_arguments, "arguments of calls are a JSON object");
    say(server.object_as_schema, "`json_object` is sent as a schema");
    say(server.cache_control, "`cache_control` is kept");
    say(!server.base64, "embeddings in base64 are made by the router");
    for (name, value) in server.added {
        out.push(format!("`{name}: {value}` is added"));
    }
    out
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_every_table_is_there() {
        let page = fields();
        assert_eq!(page.lines().filter(|line| line.starts_with('|')).count(), 2 + FIELDS.len());
        assert!(page.contains("| Late system | `messages`, `input` |"));
        let page = answers();
        assert!(page.contains("`guardrail_intervened`") && page.contains("`message_start`"));
        let page = usage();
        assert!(page.contains("| audio input | ") && page.contains("`candidatesTokenCount` + "));
        let page = errors();
        assert!(page.contains("`prompt is too long`") && page.contains("| RateLimited | 429 |"));
        assert!(servers().contains("| mistral |"));
    }
}
