//! LowestLatency: the candidate that will answer this request soonest.
//!
//! *What it optimises.* The time that this very request will take, to its first token or to its
//! end: the time to the first token, longer for a long prompt, and the time of as many tokens as an
//! answer of this alias has. Both are means of logarithms, so that one slow answer among many is
//! not mistaken for a slow model, in two time scales, of what the whole fleet saw. Failures,
//! requests that are overdue and load make it longer: [`crate::stats`] has all of it.
//!
//! *A model of which nothing is known* looks like the median of the lineup: never 0 seconds, so it
//! is not swamped, and never endless, so that it is tried. What failed fast was not fast: failures
//! are no times.
//!
//! *On a tie* the draw shares by weight, see [`super::softmin`]; the list's order breaks what is
//! left.

use serde::{Deserialize, Serialize};

use super::softmin::Softmin;
use crate::{
    catalog::closed,
    rank::{Score, SelectCx},
    snapshot::{CompiledEntry, CompiledLineup},
    stats::{Estimate, prompt_factor},
};

closed! {
    /// Which time is predicted.
    #[derive(Default)]
    pub enum Signal {
        /// The time to the end of the answer.
        #[default]
        ResponseTime,
        /// The time to the first token.
        TimeToFirstToken,
    }
}

/// Options of LowestLatency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// The time that is made short: ResponseTime or TimeToFirstToken. Default: ResponseTime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Signal"))]
    pub signal: Option<Signal>,
    /// The part of requests, in percent, that ask a target which has shown nothing of late. 0:
    /// none. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "i32", range(min = 0, max = 100)))]
    pub exploration_percent: Option<i32>,
}

/// The part of requests that explore, from 0 to 1, where it is stated in percent.
pub(super) fn exploration(percent: Option<i32>) -> f64 {
    f64::from(percent.unwrap_or(1).clamp(0, 100)) / 100.0
}

/// The predicted time of this request at a candidate, in seconds.
pub(crate) fn predict(
    cx: &SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    ix: crate::CandidateIx,
    signal: Signal,
) -> f64 {
    let stats = cx.view.lineup(lineup);
    let estimate = stats.estimate(ix);
    let output = match signal {
        Signal::ResponseTime => stats.output_tokens(cx.facts.output_cap),
        Signal::TimeToFirstToken => 0.0,
    };
    let seconds =
        estimate.first_token * prompt_factor(cx.facts.prompt_tokens) + output * estimate.token;
    estimate.cost(seconds, cx.view.live(ix).pending, 1.0)
}

/// Appends the tier: a draw by predicted time first, the rest by it.
pub(super) fn rank_tier(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    tier: &[CompiledEntry],
    params: Option<&Params>,
) {
    let signal = params.and_then(|p| p.signal).unwrap_or_default();
    let blocks = cx.blocks(tier);
    let costs = blocks.iter().map(|block| {
        let seconds = predict(cx, lineup, block.head, signal);
        cx.score(block.head, Score::Seconds(seconds));
        seconds
    });
    let costs = costs.collect();
    let steady = match signal {
        Signal::ResponseTime => |e: &Estimate| e.slow[0] + 200.0 * e.slow[1],
        Signal::TimeToFirstToken => |e: &Estimate| e.slow[0],
    };
    let explore = exploration(params.and_then(|p| p.exploration_percent));
    Softmin { lineup, blocks: &blocks, costs, steady, explore }.rank(cx);
}
