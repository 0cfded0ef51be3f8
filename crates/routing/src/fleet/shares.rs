//! How a limit is divided among routers by their demand. Each router's demand is lifted by a
//! quarter of the mean, so that who was idle can begin at once: that quarter is what a limit leaves
//! unused at most where all demand is at one of many routers.

/// Demand as it is weighed: never negative, always finite.
fn demand(of: f64) -> f64 {
    if of.is_finite() { of.max(0.0) } else { 0.0 }
}

/// `limit * (d + m/4) / sum(d + m/4)` for each demand `d`, `m` the mean of all; `limit / R` where
/// there is no demand.
pub fn shares(limit: f64, demands: &[f64]) -> Vec<f64> {
    let count = f64::from(u32::try_from(demands.len()).unwrap_or(u32::MAX).max(1));
    // Divided by the highest first, so that the sum of no demands is infinite.
    let highest = demands.iter().copied().map(demand).fold(0.0, f64::max);
    if highest <= 0.0 {
        return vec![limit / count; demands.len()];
    }
    let parts: Vec<f64> = demands.iter().map(|d| demand(*d) / highest).collect();
    let total: f64 = parts.iter().sum();
    let lift = total / count / 4.0;
    parts.iter().map(|d| limit * (d + lift) / (total + lift * count)).collect()
}

/// The same in whole numbers, by largest remainder (the first of equals): at least 1 for whoever
/// has demand. They add up to the limit unless more routers have demand than it has room for.
pub fn in_flight_shares(limit: u64, demands: &[f64]) -> Vec<u64> {
    #[expect(clippy::cast_precision_loss, reason = "requests in flight are far below 2^53")]
    let exact = shares(limit as f64, demands);
    let mut whole: Vec<u64> = exact
        .iter()
        .zip(demands)
        .map(|(share, d)| floor(*share, limit).max(u64::from(demand(*d) > 0.0)))
        .collect();
    let mut order: Vec<usize> = (0..whole.len()).collect();
    #[expect(clippy::cast_precision_loss, reason = "requests in flight are far below 2^53")]
    let remainder = |whole: &[u64], i: usize| exact[i] - whole[i] as f64;
    // Stable: of equal remainders the first comes first.
    order.sort_by(|a, b| remainder(&whole, *b).total_cmp(&remainder(&whole, *a)));
    let given: u64 = whole.iter().fold(0, |sum, n| sum.saturating_add(*n));
    if given <= limit {
        let mut left = limit - given;
        // Less than one for each is left, but for what floats lose of very large limits.
        while left > 0 && !order.is_empty() {
            for i in &order {
                let more = u64::from(left > 0);
                whole[*i] += more;
                left -= more;
            }
        }
    } else {
        take_back(&mut whole, &order, given - limit);
    }
    whole
}

/// Takes so much from those that have more than 1, smallest remainder first, one each in turn.
fn take_back(whole: &mut [u64], order: &[usize], mut excess: u64) {
    loop {
        let before = excess;
        for i in order.iter().rev() {
            if excess > 0 && whole[*i] > 1 {
                whole[*i] -= 1;
                excess -= 1;
            }
        }
        if excess == 0 || excess == before {
            return;
        }
    }
}

/// The whole part of a share.
fn floor(share: f64, limit: u64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and the cast stops at the largest"
    )]
    let whole = (share + 1e-9).floor() as u64;
    whole.min(limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_demand_with_a_quarter_of_the_mean_for_everybody() {
        let even = shares(90.0, &[5.0, 5.0, 5.0]);
        assert!(even.iter().all(|s| (s - 30.0).abs() < 1e-9), "{even:?}");
        let skewed = shares(100.0, &[9.0, 0.0, 0.0]);
        assert!((skewed[0] - 100.0 * 9.75 / 11.25).abs() < 1e-9, "{skewed:?}");
        assert!((skewed[1] - 100.0 * 0.75 / 11.25).abs() < 1e-9, "{skewed:?}");
        let idle = shares(90.0, &[0.0; 3]);
        assert!(idle.iter().all(|s| (s - 30.0).abs() < 1e-9), "{idle:?}");
        assert!(shares(90.0, &[]).is_empty());
    }

    #[test]
    fn whole_shares_by_largest_remainder() {
        assert_eq!(in_flight_shares(10, &[1.0, 1.0, 1.0]), [4, 3, 3]);
        assert_eq!(in_flight_shares(10, &[0.0; 3]), [4, 3, 3]);
        assert_eq!(in_flight_shares(4, &[1_000.0, 1.0, 1.0, 0.0]), [2, 1, 1, 0]);
        assert_eq!(in_flight_shares(2, &[1.0; 4]), [1; 4], "more have demand than there is room");
        assert_eq!(in_flight_shares(2, &[0.0; 4]), [1, 1, 0, 0]);
    }

    proptest! {
        #[test]
        fn they_add_up_to_the_limit(
            limit in 1_u64..100_000,
            demands in prop::collection::vec(
                prop_oneof![Just(0.0), 0.0..1e9_f64, any::<f64>()],
                1..40,
            ),
        ) {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let all = limit as f64;
            let parts = shares(all, &demands);
            prop_assert!(parts.iter().all(|s| s.is_finite() && *s >= 0.0), "{parts:?}");
            let sum: f64 = parts.iter().sum();
            prop_assert!((sum - all).abs() < 1e-6 * all, "{sum} of {limit}");

            let whole = in_flight_shares(limit, &demands);
            let wanting = demands.iter().filter(|d| demand(**d) > 0.0).count() as u64;
            prop_assert_eq!(whole.iter().sum::<u64>(), limit.max(wanting));
            for (share, d) in whole.iter().zip(&demands) {
                prop_assert!(*share >= 1 || demand(*d) <= 0.0);
            }
        }

        #[test]
        fn who_wants_more_gets_no_less(
            limit in 1_u64..1_000,
            demands in prop::collection::vec(0.0..1e3_f64, 2..20),
        ) {
            let whole = in_flight_shares(limit, &demands);
            for (a, da) in whole.iter().zip(&demands) {
                for (b, db) in whole.iter().zip(&demands) {
                    prop_assert!(da <= db || a + 1 >= *b, "{whole:?} of {demands:?}");
                }
            }
        }
    }
}
