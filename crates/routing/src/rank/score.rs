//! What a candidate was ranked by, and the sentence that says so to a person.

use std::fmt;

use super::Ranked;
use crate::{id::CandidateIx, price::Money, snapshot::CompiledAlias};

/// What a candidate was ranked by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// The predicted time of this request, in seconds.
    Seconds(f64),
    /// The speed at which it writes, in tokens per second.
    TokensPerSecond(f64),
    /// How many more requests per second it can take.
    Headroom(f64),
    /// How full its quotas are with this request, 1 being full.
    Utilization(f64),
    /// Tokens over the last 60 s, by weight.
    TokensByWeight(f64),
    /// What this request is expected to cost.
    Cost(Money),
    /// Its price is not known.
    PriceUnknown,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(s) if *s < 9.995 => write!(f, "{s:.2} s"),
            Self::Seconds(s) => write!(f, "{s:.0} s"),
            Self::TokensPerSecond(n) => write!(f, "{n:.0} tokens/s"),
            Self::Headroom(n) => write!(f, "{n:.1} more requests/s"),
            Self::Utilization(part) => write!(f, "{:.0} % of its quota", part * 100.0),
            Self::TokensByWeight(n) => write!(f, "{n:.0} tokens/min by weight"),
            Self::Cost(money) => money.fmt(f),
            Self::PriceUnknown => f.write_str("a price that is not known"),
        }
    }
}

impl Score {
    /// The word before the figure.
    fn verb(&self) -> &'static str {
        match self {
            Self::Seconds(_) => "predicted",
            Self::TokensPerSecond(_) => "writes",
            Self::Headroom(_) => "has room for",
            Self::Utilization(_) => "at",
            Self::TokensByWeight(_) => "used",
            Self::Cost(_) => "costs",
            Self::PriceUnknown => "has",
        }
    }
}

/// Why the ranking is as it is, for a person: "4 candidates; anthropic/claude-sonnet-4-5 predicted
/// 0.62 s, next openai/gpt-4o 0.81 s".
pub fn reason(alias: &CompiledAlias, ranked: &Ranked) -> String {
    let name = |ix: CandidateIx| {
        alias
            .candidates
            .get(ix.get())
            .map_or_else(String::new, |c| format!("{}/{}", c.target.name, c.model))
    };
    let score = |ix: CandidateIx| ranked.scores.get(ix.get()).copied().flatten();
    let mut ranking = ranked.ranking.iter().copied();
    let count = ranked.ranking.len();
    let Some(first) = ranking.next() else { return "no candidate".to_owned() };
    let mut text =
        if count == 1 { "1 candidate; ".to_owned() } else { format!("{count} candidates; ") };
    text.push_str(&name(first));
    match score(first) {
        Some(score) => text.push_str(&format!(" {} {score}", score.verb())),
        None => text.push_str(" first"),
    }
    if ranked.effects.probed().is_some_and(|ix| ix == first) {
        text.push_str(" (asked since it has shown nothing of late)");
    }
    if let Some(second) = ranking.next() {
        text.push_str(&format!(", next {}", name(second)));
        if let Some(score) = score(second) {
            text.push_str(&format!(" {score}"));
        }
    }
    text
}
