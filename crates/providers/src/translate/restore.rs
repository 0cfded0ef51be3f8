//! What was fitted to a candidate on the way out is given back on the way in: names of tools, free
//! text of custom tools, ids that are missing or were used before.

use std::collections::HashMap;

use crate::{
    dialect::Back,
    ids::made,
    neutral::{CallKind, Delta, Event, Kind},
    tree::Json,
};

/// Gives back what the caller knows.
#[derive(Debug)]
pub(super) struct Restore {
    back: Back,
    seed: String,
    /// Inputs of custom tools, sent as functions: the text is known when the object is whole.
    held: HashMap<(u32, u32), String>,
}

impl Restore {
    pub(super) fn new(back: Back, seed: String) -> Self {
        Self { back, seed, held: HashMap::new() }
    }

    pub(super) fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        match event {
            Event::Open {
                choice,
                part,
                kind: Kind::Call { id, name, kind, namespace, signature },
            } => {
                let known = self.back.names.get(&name);
                let custom = known.is_some_and(|known| known.custom);
                let (name, namespace) = match known {
                    Some(known) => (known.name.clone(), known.namespace.clone()),
                    None => (name, namespace),
                };
                // Some servers give no ids, or the same ones in every answer.
                let id = if id.is_empty() || self.back.seen.contains(&id) {
                    made(&self.seed, choice, part)
                } else {
                    id
                };
                if custom {
                    self.held.insert((choice, part), String::new());
                }
                let kind = if custom { CallKind::Custom } else { kind };
                let kind = Kind::Call { id, name, kind, namespace, signature };
                out.push(Event::Open { choice, part, kind });
            }
            Event::Delta { choice, part, delta: Delta::Text(text) } => {
                match self.held.get_mut(&(choice, part)) {
                    Some(held) => held.push_str(&text),
                    None => out.push(Event::Delta { choice, part, delta: Delta::Text(text) }),
                }
            }
            Event::Close { choice, part } => {
                if let Some(text) = self.held.remove(&(choice, part)) {
                    let text = input_of(text);
                    if !text.is_empty() {
                        out.push(Event::Delta { choice, part, delta: Delta::Text(text) });
                    }
                }
                out.push(Event::Close { choice, part });
            }
            other => out.push(other),
        }
    }
}

/// The free text in the arguments of a function with one string; what has another form is it.
fn input_of(arguments: String) -> String {
    match Json::parse(arguments.as_bytes()) {
        Ok(value) if value.get("input").str().is_some() => value.get("input").text().to_owned(),
        _ => arguments,
    }
}
