//! The oracle: it knows medians, faults, what is under way and what rate limits admit, and takes
//! the least expected time for each request. Greedy: it does not plan ahead.

use super::{Pick, Policy};
use crate::world::prompt_factor;

/// See the head of the file.
pub(super) struct Oracle;

/// What cannot answer.
const NEVER: f64 = 1e6;

impl Policy for Oracle {
    fn pick(&mut self, cx: &Pick<'_>) -> usize {
        let expected = |i: usize| {
            let world = cx.truth.world;
            let target = &world.targets[i];
            if (world.hangs)(i, cx.now) || cx.truth.admits[i] < 1.0 {
                return NEVER;
            }
            let in_flight = cx.truth.in_flight[i] + 1.0;
            let slowness = (world.slowness)(i, cx.now) * target.crowding(in_flight);
            let tail = 1.0 + target.tail.0 * (target.tail.1 - 1.0);
            let failing = (world.failing)(i, cx.now).min(0.999);
            // Who joins a crowd slows all of it.
            let crowd = if in_flight <= target.capacity { 1.0 } else { 2.5 };
            let first = target.first_token * slowness * tail * 1.06 * prompt_factor(cx.call.prompt);
            crowd * (first + cx.call.output * target.token * slowness * 1.01)
                + failing / (1.0 - failing)
        };
        super::simple::least(cx.open, expected)
    }
}
