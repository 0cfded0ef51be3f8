//! What `moniker dev` prints: what it serves, what is wrong with the files, and a line to try.

use std::io::Write;

use cli::load::Problem;
use router::run::Running;
use routing::{
    StrategyKind,
    category::{CompiledChoice, DEFAULT},
    snapshot::{CompiledAlias, CompiledLineup, Members, Resource},
};

use super::{
    Args,
    lineup::{Lineup, Outcome},
};

/// One line to the terminal. One that is closed is no reason to end.
pub(super) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// What a load came to.
pub(super) fn loaded(lineup: &Lineup, outcome: &Outcome, first: bool, namespace: &str) {
    match outcome {
        Outcome::Same => {}
        Outcome::Good(problems) => {
            let word = if first { "Loaded" } else { "Loaded again:" };
            line(&format!("{word} {}", lineup.summary()));
            tell(problems);
            aliases(lineup);
            missing(lineup);
            if !first {
                callers(lineup, namespace);
            }
        }
        Outcome::Bad(problems) => {
            tell(problems);
            let rest = if first {
                "Nothing is served yet; mend it and save."
            } else {
                "The last good lineup goes on serving; mend it and save."
            };
            line(rest);
        }
    }
}

fn tell(problems: &[Problem]) {
    for problem in problems {
        line(&format!("  {problem}"));
    }
}

/// The Secrets to add, as they would stand in a file.
fn missing(lineup: &Lineup) {
    for (name, key) in lineup.missing() {
        let variable: String = name
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        let members = match key {
            Some(key) => vec![(key.as_str(), format!("{variable}_API_KEY"))],
            None => ["access-key-id", "secret-access-key"]
                .map(|key| (key, format!("AWS_{}", key.replace('-', "_").to_ascii_uppercase())))
                .into(),
        };
        let set: Vec<&str> = members.iter().map(|(_, variable)| variable.as_str()).collect();
        let data: Vec<String> =
            members.iter().map(|(key, variable)| format!("{key}: \"${{{variable}}}\"")).collect();
        line(&format!(
            "  Secret {name} is missing. Set {}, add this to the files, and start again:\n    ---\n    \
             apiVersion: v1\n    kind: Secret\n    metadata: {{name: {}, namespace: {}}}\n    \
             stringData: {{{}}}",
            set.join(" and "),
            name.name,
            name.namespace,
            data.join(", ")
        ));
    }
}

fn aliases(lineup: &Lineup) {
    let aliases = &lineup.compiled().snapshot.aliases;
    let width = aliases.keys().map(|id| id.to_string().len()).max().unwrap_or(0);
    for (id, resource) in aliases {
        let id = id.to_string();
        match resource {
            Resource::Hold { reason, .. } => {
                line(&format!(
                    "  {id:width$}  held ({reason}): an earlier good form goes on, if there is one"
                ));
            }
            Resource::Value { value, .. } => {
                let told = match &value.categories {
                    Some(choice) => categories(value, choice),
                    None => entries(&value.lineup),
                };
                line(&format!("  {id:width$}  {told}"));
            }
        }
    }
}

/// `Category: coding RandomShuffle: large; default Priority: small`.
fn categories(alias: &CompiledAlias, choice: &CompiledChoice) -> String {
    let known = choice.known.categories.iter().zip(&choice.overrides);
    let overrides = known.map(|(known, one)| (known.name.as_str(), &one.lineup));
    let all = overrides.chain([(DEFAULT, &alias.lineup)]);
    let told: Vec<String> =
        all.map(|(name, lineup)| format!("{name} {}", entries(lineup))).collect();
    format!("{}: {}", StrategyKind::Category, told.join("; "))
}

/// `Priority: large (80), small (20)`: the strategy, and the entries in their order with weights that
/// differ from 1.
fn entries(lineup: &CompiledLineup) -> String {
    let kind = lineup.strategy.kind;
    let entries = lineup.tiers.iter().flatten().map(|entry| {
        let name = match &entry.members {
            Members::Candidates(_) => entry.name.clone(),
            Members::Alias { id, .. } => format!("{} = alias {id}", entry.name),
        };
        if entry.weight == 1 { name } else { format!("{name} ({})", entry.weight) }
    });
    let list = entries.collect::<Vec<_>>().join(", ");
    if list.is_empty() { format!("{kind}: no target is usable") } else { format!("{kind}: {list}") }
}

/// How more routers join.
pub(super) fn stream(args: &Args, url: &url::Url) {
    let url = url.as_str().trim_end_matches('/');
    let namespace = &args.namespace;
    let ranges = args.allow_cidr.iter().map(|range| format!(" --allow-cidr {range}"));
    let ranges: String = ranges.collect();
    line(&format!("Watch stream: {url}"));
    line("Another router:");
    line(&format!(
        "  moniker router --controller {url} --name two --listen 127.0.0.1:8081 \\\n    \
         --admin 127.0.0.1:9091 --allow-anonymous {namespace} --dev{ranges}"
    ));
}

/// Who is served.
fn callers(lineup: &Lineup, namespace: &str) {
    match lineup.compiled().snapshot.keys.len() {
        0 => line(&format!("Callers need no key, and are those of namespace {namespace}.")),
        1 => line("Callers need the key of the one AccessKey; without one they are refused."),
        n => line(&format!("Callers need the key of one of {n} AccessKeys.")),
    }
}

/// Where it is served, and a line to try.
pub(super) fn address(namespace: &str, running: &Running, lineup: &Lineup) {
    let url = format!("http://{}/v1", running.listen);
    callers(lineup, namespace);
    if let Some(model) = lineup.example() {
        let anyone = lineup.compiled().snapshot.keys.is_empty();
        let key = if anyone { "" } else { " -H \"authorization: Bearer $KEY\"" };
        line("Try:");
        line(&format!(
            "  curl -i {url}/chat/completions{key} -H 'content-type: application/json' \\\n    \
             -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \
             \"hello\"}}]}}'"
        ));
    }
    line(&format!("Admin port: http://{}", running.admin));
    line(&format!("Serving on: {url}"));
}
