//! Why a request has its category, as an explanation tells it. Made for who reads it, from the text
//! once more: requests that nobody explains pay nothing for it.

use classify::{Category, Detector, custom::By};
use serde::Serialize;
use serde_json::Value;

use super::{SCRATCH, Told, text};
use crate::{facts::Asked, live::LiveAlias, record::Record};

/// Features that are told.
const FEATURES: usize = 8;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained<'a> {
    /// The category whose lineup it takes, or `default`.
    name: &'a str,
    /// What told it.
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    likeliest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence_percent: Option<f32>,
    /// How sure it must be.
    needed_percent: u8,
    /// How likely each category is, the likeliest first.
    scores: Vec<Score<'a>>,
    /// What spoke the loudest for or against the likeliest one.
    features: Vec<Feature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judge: Option<&'static str>,
}

#[derive(Serialize)]
struct Score<'a> {
    category: &'a str,
    percent: f32,
}

#[derive(Serialize)]
struct Feature {
    what: String,
    weight: f32,
}

/// Adds to an explanation how the category was told, where the alias chooses by it.
pub(crate) fn told(mut said: Value, asked: &Asked, record: &Record) -> Value {
    let (Some(whole), Some(told)) = (&record.whole, &record.told) else { return said };
    let name = record.alias.as_ref().and_then(|alias| alias.category.as_ref());
    let name = name.map_or("", |category| &*category.name);
    // Texts and numbers: this cannot fail.
    said["category"] =
        serde_json::to_value(explained(whole, told, name, asked)).unwrap_or_default();
    said
}

fn explained<'a>(
    whole: &'a LiveAlias,
    told: &'a Told,
    name: &'a str,
    asked: &Asked,
) -> Option<Explained<'a>> {
    let choice = whole.choice.as_ref()?;
    let detector = &choice.compiled.detector;
    let mut explained = Explained {
        name,
        by: told.by.name(),
        likeliest: told.likeliest.as_ref().map(|(name, _)| &**name),
        confidence_percent: told.likeliest.as_ref().map(|(_, share)| percent(*share)),
        needed_percent: detector.confidence_percent,
        scores: Vec::new(),
        features: Vec::new(),
        judge: told.judge.map(telemetry::JudgeOutcome::name),
    };
    let Some(text) = text::of(asked, detector.sticky) else { return Some(explained) };
    SCRATCH.with_borrow_mut(|scratch| {
        let scores = choice.classifier.scores(&text, scratch);
        explained.scores = scores
            .into_iter()
            .map(|(category, share)| Score { category, percent: percent(share) })
            .collect();
        let verdict = choice.classifier.classify(&text, scratch);
        explained.features = match verdict.by {
            By::Rule => {
                let what = choice.classifier.rule_pattern(&text, scratch);
                let what = what.map(|what| format!("matches {what}"));
                what.map(|what| Feature { what, weight: 1.0 }).into_iter().collect()
            }
            By::Builtin | By::Examples => {
                let of: Option<Category> = verdict.category.parse().ok();
                let of = of.unwrap_or(verdict.builtin.category);
                let reasons = Detector::builtin().explain(&text, of, FEATURES);
                reasons.into_iter().map(|r| Feature { what: r.what, weight: r.weight }).collect()
            }
        };
    });
    Some(explained)
}

/// A share of one in percent, with one decimal.
fn percent(share: f32) -> f32 {
    (share * 1000.0).round() / 10.0
}
