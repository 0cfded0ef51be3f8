//! Reads a report out of the text of `/metrics`, in whatever pieces it comes.
//!
//! A line that is none of ours, or that says what cannot be, is skipped: a newer router may tell
//! more, and a broken one harms nobody but itself. What is kept is bounded in number and length.

use std::borrow::Cow;

use routing::{
    Money, ObjectId,
    fleet::{Dimension, KeyId, LimitKey, ModelKey, Report},
    outcome::Fault,
    stats::{Part, TimeScale},
};

use super::{AMOUNTS, CREDENTIAL_FAULTS, DRAWS};
use crate::names;

/// The longest line that is read; a longer one is skipped.
const MAX_LINE: usize = 4096;
/// The longest label that is kept, in bytes.
const MAX_LABEL: usize = 768;
/// The most models, limits, callers' keys and faults of one report.
const MAX_KEYS: usize = 20_000;
/// The longest name of a run.
const MAX_RUN: usize = 64;
/// No number of a report is larger: a sum of two of them, or of all routers', is finite.
const MAX_VALUE: f64 = 1e15;

/// A report that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {MAX_KEYS} models, limits, keys or credentials are reported; no router uses so many"
)]
pub struct TooMuch;

/// The report in this text.
pub fn parse(text: &str) -> Result<Report, TooMuch> {
    let mut parser = Parser::default();
    parser.push(text.as_bytes())?;
    parser.finish()
}

/// Reads a report from bytes that come in any pieces.
#[derive(Debug, Default)]
pub struct Parser {
    report: Report,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// That line is too long to be one of ours.
    skipping: bool,
}

impl Parser {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.end_of_line()?;
        }
        self.keep(bytes);
        Ok(())
    }

    /// The report, once everything has come.
    pub fn finish(mut self) -> Result<Report, TooMuch> {
        self.end_of_line()?;
        Ok(self.report)
    }

    fn keep(&mut self, piece: &[u8]) {
        self.skipping |= self.rest.len() + piece.len() > MAX_LINE;
        if self.skipping {
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(piece);
        }
    }

    fn end_of_line(&mut self) -> Result<(), TooMuch> {
        if !std::mem::take(&mut self.skipping)
            && let Ok(line) = std::str::from_utf8(&self.rest)
        {
            // `None`: not ours, or not to be believed.
            let _ = take(&mut self.report, line);
        }
        self.rest.clear();
        let Report { models, limits, keys, credential_faults, .. } = &self.report;
        let most = models.len().max(limits.len()).max(keys.len()).max(credential_faults.len());
        if most > MAX_KEYS {
            return Err(TooMuch);
        }
        Ok(())
    }
}

/// Takes a line in.
fn take(report: &mut Report, line: &str) -> Option<()> {
    let (name, rest) = line.trim_ascii_start().split_once('{')?;
    let name = name.trim_ascii_end();
    if name == names::FEEDBACK.name {
        let (labels, value) = sample(rest)?;
        let (target, model) = target_and_model(labels.of("target")?)?;
        let scale = named(TimeScale::ALL, TimeScale::name, labels.of("scale")?)?;
        let part = named(Part::ALL, Part::name, labels.of("part")?)?;
        // Logarithms alone may be below 0.
        if value < 0.0 && !matches!(part, Part::FirstTokenLog | Part::TokenLog) {
            return None;
        }
        let key = ModelKey { target, model: model.to_owned() };
        report.models.entry(key).or_default().set(scale, part, value);
    } else if let Some((.., number)) = DRAWS.iter().find(|(metric, ..)| metric.name == name) {
        let (labels, value) = sample(rest)?;
        if value < 0.0 {
            return None;
        }
        let target = labels.of("provider_target")?.parse().ok()?;
        // A label that is empty and one that is not there are the same to Prometheus.
        let quota = labels.of("quota").filter(|quota| !quota.is_empty()).map(str::to_owned);
        let dimension = named(Dimension::ALL, Dimension::name, labels.of("dimension")?)?;
        let key = LimitKey { target, quota, dimension };
        *number(report.limits.entry(key).or_default()) = value;
    } else if let Some((.., number)) = DRAWS.iter().find(|(_, metric, _)| metric.name == name) {
        let (labels, value) = sample(rest)?;
        if value < 0.0 {
            return None;
        }
        let dimension = named(Dimension::ALL, Dimension::name, labels.of("dimension")?)?;
        let seen = report.keys.entry(key_of(&labels)?).or_default();
        *number(seen.draws.entry(dimension).or_default()) = value;
    } else if let Some((metric, part)) = AMOUNTS.iter().find(|(metric, _)| metric.name == name) {
        let (labels, value) = labelled(rest)?;
        let value = Money::parse(value).ok().filter(|value| value.to_f64() <= MAX_VALUE)?;
        if metric.labels.contains(&"run") {
            let run = labels.of("run").filter(|run| run.len() <= MAX_RUN)?;
            if report.run != run {
                run.clone_into(&mut report.run);
            }
        }
        let spending =
            report.keys.entry(key_of(&labels)?).or_default().spending.get_or_insert_default();
        *part(&mut spending.counter) = value;
    } else if name == names::KEY_SPENDING.name {
        let (labels, value) = sample(rest)?;
        if value < 0.0 {
            return None;
        }
        let seen = report.keys.entry(key_of(&labels)?).or_default();
        seen.spending.get_or_insert_default().demand = value;
    } else if name == names::CREDENTIAL_FAULT.name {
        let (labels, value) = sample(rest)?;
        let target: ObjectId = labels.of("provider_target")?.parse().ok()?;
        let fault = named(&CREDENTIAL_FAULTS, |fault: Fault| fault.name(), labels.of("outcome")?)?;
        if value > 0.0 {
            report.credential_faults.insert(target, fault);
        }
    }
    Some(())
}

/// Which caller's key a sample is of.
fn key_of(labels: &Labels<'_>) -> Option<KeyId> {
    let (id, uid) = (labels.of("access_key")?.parse().ok()?, labels.of("uid")?.parse().ok()?);
    Some(KeyId { id, uid })
}

/// namespace/ProviderTarget/model; the model's own name may hold slashes.
fn target_and_model(label: &str) -> Option<(ObjectId, &str)> {
    let mut parts = label.splitn(3, '/');
    let (namespace, name, model) = (parts.next()?, parts.next()?, parts.next()?);
    let any_empty = namespace.is_empty() || name.is_empty() || model.is_empty();
    (!any_empty).then(|| (ObjectId::new(namespace, name), model))
}

fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, wanted: &str) -> Option<T> {
    all.iter().copied().find(|one| name(*one) == wanted)
}

/// The labels of a sample.
struct Labels<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl Labels<'_> {
    fn of(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, value)| &**value)
    }
}

/// What stands behind the brace: labels, and a number that can be.
fn sample(rest: &str) -> Option<(Labels<'_>, f64)> {
    let (labels, value) = labelled(rest)?;
    let value: f64 = value.parse().ok()?;
    (value.abs() <= MAX_VALUE).then_some((labels, value))
}

/// What stands behind the brace: labels, and the text of a value. A timestamp may follow.
fn labelled(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((Labels(labels), after.split_ascii_whitespace().next()?));
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_ascii_start().strip_prefix('"')?;
        let (value, after) = quoted(after)?;
        if value.len() > MAX_LABEL {
            return None;
        }
        labels.push((name.trim_ascii(), value));
        let after = after.trim_ascii_start();
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// The text up to the quote that ends it, its escapes undone, and what follows.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((Cow::Owned(value), &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}
