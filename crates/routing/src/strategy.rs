//! The strategies: one file each and one line each in the table below. The CRD's enum, its rules,
//! the documentation, the metric labels and what `rank` does all follow from that line.

use serde::{Deserialize, Serialize};

use crate::{
    rank::SelectCx,
    snapshot::{CompiledEntry, CompiledLineup},
};

mod softmin;

/// Makes the modules, [`StrategyKind`], [`StrategySpec`] and the dispatch from the table. A line is
/// `module => Kind "one sentence for users";`, or `module => Kind(field) "...";` for a strategy
/// with options, whose module then has a type `Params` and whose `rank_tier` takes it.
macro_rules! strategies {
    ($($module:ident => $kind:ident $(($field:ident))? $doc:literal;)+) => {
        $(pub mod $module;)+

        crate::catalog::closed! {
            /// How the candidates of a lineup are ordered.
            pub enum StrategyKind { $(#[doc = $doc] $kind),+ }
        }

        impl StrategyKind {
            /// One sentence for users.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$kind => $doc),+ }
            }

            /// The name of the member of [`StrategySpec`] that holds its options, if it has any.
            pub fn options(self) -> Option<&'static str> {
                match self { $(Self::$kind => None $(.or(Some(stringify!($field))))?),+ }
            }
        }

        /// A strategy as it is written: `type`, and the options of that type where it has any.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase")]
        pub struct StrategySpec {
            /// How the candidates are ordered.
            #[serde(rename = "type")]
            pub kind: StrategyKind,
            $($(
                #[doc = concat!("Options of ", stringify!($kind), ".")]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$module::Params>,
            )?)+
        }

        impl StrategySpec {
            /// This strategy with its default options.
            pub fn of(kind: StrategyKind) -> Self {
                Self { kind, $($($field: None,)?)+ }
            }

            /// Appends the candidates of one tier to the ranking, in this strategy's order.
            pub(crate) fn rank_tier(
                &self,
                cx: &mut SelectCx<'_, '_>,
                lineup: &CompiledLineup,
                tier: &[CompiledEntry],
            ) {
                match self.kind {
                    $(StrategyKind::$kind => {
                        $module::rank_tier(cx, lineup, tier $(, self.$field.as_ref())?);
                    })+
                }
            }
        }
    };
}

strategies! {
    priority => Priority "The first healthy entry, in the order of the list.";
    random_shuffle => RandomShuffle "A draw by weight, anew for every request; the next is drawn among the rest.";
    lowest_latency => LowestLatency(lowest_latency) "The target that will answer this request soonest, as predicted from what the fleet sees.";
    highest_throughput => HighestThroughput(highest_throughput) "The target with the most room below the rate of requests that it can sustain, or the one that writes fastest.";
    lowest_usage => LowestUsage "The target that has used the least of its quotas; without quotas the one with the fewest tokens by weight.";
    lowest_price => LowestPrice "The target at which this very request is expected to cost the least; of equals the soonest to answer.";
    category => Category "The lineup of what the prompt asks for, each with a strategy of its own; what is not clear goes to Default.";
}
