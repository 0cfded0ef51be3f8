//! HighestThroughput: the candidate that can take the most, by one of two metrics: how many more
//! requests a second it has room for ([`rps`], the default), or how fast it writes ([`tps`]).

mod rps;
mod tps;

use serde::{Deserialize, Serialize};

use super::lowest_latency::exploration;
use crate::{
    catalog::closed,
    rank::SelectCx,
    snapshot::{CompiledEntry, CompiledLineup},
};

closed! {
    /// What throughput is.
    #[derive(Default)]
    pub enum Metric {
        /// Requests a second: the target with the most room below the rate that it can sustain.
        #[default]
        RequestsPerSecond,
        /// Tokens a second of one answer: the target that writes fastest.
        TokensPerSecond,
    }
}

/// Options of HighestThroughput.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// What throughput is: RequestsPerSecond or TokensPerSecond. Default: RequestsPerSecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Metric"))]
    pub metric: Option<Metric>,
    /// The part of requests, in percent, that ask a target which has shown nothing of late. 0:
    /// none. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "i32", range(min = 0, max = 100)))]
    pub exploration_percent: Option<i32>,
}

/// Appends the tier by the metric.
pub(super) fn rank_tier(
    cx: &mut SelectCx<'_, '_>,
    lineup: &CompiledLineup,
    tier: &[CompiledEntry],
    params: Option<&Params>,
) {
    let explore = exploration(params.and_then(|p| p.exploration_percent));
    match params.and_then(|p| p.metric).unwrap_or_default() {
        Metric::RequestsPerSecond => rps::rank_tier(cx, lineup, tier, explore),
        Metric::TokensPerSecond => tps::rank_tier(cx, lineup, tier, explore),
    }
}
