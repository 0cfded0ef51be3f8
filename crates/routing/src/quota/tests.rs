//! Limits of one holder: admission, correction, edits, and what may be fed in.

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Nanos {
    Nanos::ZERO + Duration::from_millis(ms)
}

fn rule(dimension: Dimension, limit: u64) -> Rule {
    Rule {
        quota: Some("main".into()),
        dimension,
        limit,
        models: Vec::new(),
        count_cached_input: false,
    }
}

fn told(dimension: Dimension, share: f64, used: f64) -> Word<'static> {
    let in_flight = dimension == Dimension::InFlight;
    let others = Draw { demand: used, used, recent: used / 6.0 };
    let quota = (!in_flight).then_some("main");
    Word { quota, dimension, share, others, age: Duration::ZERO }
}

/// Limits of a router that is alone, and was told so.
fn alone(rules: Vec<Rule>, max_in_flight: Option<u64>) -> Limits {
    let shares: Vec<_> = rules
        .iter()
        .map(|r| told(r.dimension, window::float(r.limit), 0.0))
        .chain(max_in_flight.map(|n| told(Dimension::InFlight, window::float(n), 0.0)))
        .collect();
    let mut limits = Limits::new(rules, max_in_flight, 1);
    limits.tell(at(0), 1, shares);
    limits
}

const SMALL: Estimate = Estimate { prompt: 100, output: 200 };

#[test]
fn requests_are_counted_when_admitted_and_the_wait_is_told_by_the_window() {
    let mut limits = alone(vec![rule(Dimension::Requests, 3)], None);
    for n in 0..3 {
        let held = limits.reserve(at(n * 1_000), "m", SMALL).unwrap();
        limits.settle(at(n * 1_000), held, Settled::Failed);
    }
    let full = limits.reserve(at(3_000), "m", SMALL).unwrap_err();
    assert_eq!(full.dimension, Dimension::Requests);
    assert_eq!(full.quota.as_deref(), Some("main"));
    assert!(full.to_string().contains("of quota main"), "{full}");
    limits.tell(at(60_000), 1, [told(Dimension::Requests, 3.0, 0.0)]);
    let then = at(3_000) + full.retry_after;
    assert!(then < at(70_000), "{full:?}");
    let held = limits.reserve(then + Duration::from_millis(1), "m", SMALL).unwrap();
    limits.settle(then, held, Settled::Failed);
}

#[test]
fn real_usage_takes_the_place_of_the_estimate() {
    let mut limits = alone(vec![rule(Dimension::Tokens, 1_000)], None);
    let first = limits.reserve(at(0), "m", SMALL).unwrap();
    let second = limits.reserve(at(0), "m", SMALL).unwrap();
    let used = |limits: &Limits| limits.draws(at(0)).next().unwrap().2.used;
    assert!((used(&limits) - 600.0).abs() < 1e-9);
    let usage = Usage { input: 50, cache_read: 700, output: 30, ..Usage::default() };
    limits.settle(at(0), first, Settled::Used(&usage));
    assert!((used(&limits) - 380.0).abs() < 1e-9, "cached tokens are free here");
    limits.settle(at(0), second, Settled::Failed);
    assert!((used(&limits) - 80.0).abs() < 1e-9, "what fails gives its tokens back");

    limits.apply(vec![Rule { count_cached_input: true, ..rule(Dimension::Tokens, 1_000) }], None);
    let held = limits.reserve(at(0), "m", SMALL).unwrap();
    limits.settle(at(0), held, Settled::Used(&usage));
    assert!((used(&limits) - 860.0).abs() < 1e-9);
    let full = limits.reserve(at(0), "m", SMALL).unwrap_err();
    assert_eq!(full.dimension, Dimension::Tokens);
    let draw = limits.draws(at(0)).next().unwrap().2;
    assert!((draw.demand - 1_160.0).abs() < 1e-9, "what is refused is demand: {draw:?}");
}

#[test]
fn an_empty_window_admits_one_request_above_the_limit() {
    let mut limits = alone(vec![rule(Dimension::InputTokens, 100)], None);
    let large = Estimate { prompt: 5_000, output: 0 };
    let held = limits.reserve(at(0), "m", large).unwrap();
    limits.settle(at(0), held, Settled::Used(&Usage { input: 5_000, ..Usage::default() }));
    let full = limits.reserve(at(1_000), "m", large).unwrap_err();
    assert!(full.retry_after > Duration::from_secs(50), "{full:?}");
    let u = limits.utilisation(at(1_000), "m", SMALL).unwrap();
    assert!((u - 51.0).abs() < 1e-9, "{u}");
    limits
        .reserve(at(71_000), "m", large)
        .map(|r| limits.settle(at(71_000), r, Settled::Failed))
        .unwrap();
}

#[test]
fn an_empty_window_does_not_where_others_use_the_limit() {
    let mut limits = Limits::new(vec![rule(Dimension::Requests, 10)], None, 1);
    limits.tell(at(0), 20, [told(Dimension::Requests, 0.5, 10.0)]);
    limits.reserve(at(0), "m", SMALL).unwrap_err();
    limits.tell(at(0), 20, [told(Dimension::Requests, 0.5, 6.0)]);
    let held = limits.reserve(at(0), "m", SMALL).unwrap();
    limits.settle(at(0), held, Settled::Failed);
}

#[test]
fn a_fraction_of_a_request_is_given_in_time() {
    let mut limits = Limits::new(vec![rule(Dimension::Requests, 75)], None, 7);
    let mut admitted = 0;
    for second in 0..6_000 {
        let now = at(second * 1_000);
        if second % 5 == 0 {
            limits.tell(now, 20, [told(Dimension::Requests, 3.75, 71.0 * 0.9)]);
        }
        if let Ok(held) = limits.reserve(now, "m", SMALL) {
            limits.settle(now, held, Settled::Failed);
            admitted += 1;
        }
    }
    assert!((350..=385).contains(&admitted), "{admitted} in 100 minutes at 3.75");
}

#[test]
fn only_the_quotas_of_the_model_count() {
    let rules = vec![
        Rule { models: vec!["big".into()], ..rule(Dimension::Requests, 1) },
        Rule { quota: Some("all".into()), ..rule(Dimension::Requests, 3) },
    ];
    let mut limits = Limits::new(rules, None, 1);
    limits.set_routers(0);
    limits.tell(at(0), 1, []);
    assert_eq!(limits.first_limit("big"), Some((Dimension::Requests, 1)));
    assert_eq!(limits.first_limit("small"), Some((Dimension::Requests, 3)));
    let _big = limits.reserve(at(0), "big", SMALL).unwrap();
    limits.reserve(at(0), "big", SMALL).unwrap_err();
    let _small = limits.reserve(at(0), "small", SMALL).unwrap();
    let _other = limits.reserve(at(0), "small", SMALL).unwrap();
    let full = limits.reserve(at(0), "small", SMALL).unwrap_err();
    assert_eq!(full.quota.as_deref(), Some("all"));
    assert_eq!(Limits::new(Vec::new(), None, 1).utilisation(at(0), "m", SMALL), None);
}

#[test]
fn in_flight_is_counted_until_settled() {
    let mut limits = alone(Vec::new(), Some(2));
    let first = limits.reserve(at(0), "m", SMALL).unwrap();
    let _second = limits.reserve(at(0), "m", SMALL).unwrap();
    let full = limits.reserve(at(0), "m", SMALL).unwrap_err();
    assert_eq!((full.dimension, full.quota), (Dimension::InFlight, None));
    limits.settle(at(1), first, Settled::Failed);
    assert_eq!(limits.in_flight(), 1);
    let (_, _, draw) = limits.draws(at(1)).next().unwrap();
    assert!((draw.demand - 4.5).abs() < 1e-9 && (draw.used - 1.0).abs() < 1e-9, "{draw:?}");
    let _third = limits.reserve(at(1), "m", SMALL).unwrap();

    limits.apply(Vec::new(), Some(1));
    limits.reserve(at(2), "m", SMALL).unwrap_err();
    limits.apply(Vec::new(), None);
    let _fourth = limits.reserve(at(2), "m", SMALL).unwrap();
    assert_eq!(limits.in_flight(), 3, "what is in flight is counted without a limit, too");
}

#[test]
fn before_the_fleets_word_and_long_after_it() {
    let mut limits = Limits::new(vec![rule(Dimension::Requests, 12)], Some(8), 1);
    limits.set_routers(3);
    let admitted = |limits: &mut Limits, now: Nanos| {
        let held: Vec<_> = std::iter::from_fn(|| limits.reserve(now, "m", SMALL).ok()).collect();
        let count = held.len();
        for reservation in held {
            limits.settle(now, reservation, Settled::Failed);
        }
        count
    };
    assert_eq!(admitted(&mut limits, at(0)), 2, "8 in flight of four");
    limits.apply(vec![rule(Dimension::Requests, 12)], None);
    assert_eq!(admitted(&mut limits, at(0)), 1, "12 a minute of four");
    limits.tell(at(100_000), 3, [told(Dimension::Requests, 9.0, 0.0)]);
    assert_eq!(admitted(&mut limits, at(100_000)), 9);
    assert_eq!(admitted(&mut limits, at(300_000)), 4, "12 a minute of three");
}

#[test]
fn an_edit_keeps_what_was_counted_and_reservations_find_their_meter() {
    let mut limits = alone(vec![rule(Dimension::Requests, 5), rule(Dimension::Tokens, 900)], None);
    let held = limits.reserve(at(0), "m", SMALL).unwrap();
    limits.apply(vec![rule(Dimension::Tokens, 500)], None);
    limits.reserve(at(0), "m", SMALL).unwrap_err();
    limits.settle(at(0), held, Settled::Failed);
    let held = limits.reserve(at(0), "m", SMALL).unwrap();
    limits.apply(Vec::new(), None);
    limits.settle(at(0), held, Settled::Failed);
    assert_eq!(limits.in_flight(), 0);
    assert_eq!(limits.draws(at(0)).count(), 0);
}

#[test]
fn a_provider_that_refuses_is_full() {
    let mut limits = alone(vec![rule(Dimension::Tokens, 1_000_000)], None);
    limits.exhausted("m", at(9_000));
    assert!(limits.utilisation(at(8_999), "m", SMALL).unwrap() >= 1.0);
    assert!(limits.utilisation(at(9_000), "m", SMALL).unwrap() < 0.01);
}

#[test]
fn what_nobody_used_for_long_is_not_reported() {
    let mut limits = alone(vec![rule(Dimension::Tokens, 1_000)], Some(5));
    assert_eq!(limits.draws(at(0)).count(), 0);
    let held = limits.reserve(at(0), "m", SMALL).unwrap();
    limits.settle(at(0), held, Settled::Failed);
    assert_eq!(limits.draws(at(600_000)).count(), 2);
    assert_eq!(limits.draws(at(600_001)).count(), 0);
}

proptest! {
    #[test]
    fn whatever_is_fed_in_it_stays_sane(
        steps in prop::collection::vec(
            (0_u64..100_000, any::<u64>(), any::<u64>(), any::<f64>(), any::<f64>(), 0_u8..5),
            1..60,
        ),
        limit: u64,
        seed: u64,
    ) {
        let mut limits = Limits::new(vec![rule(Dimension::Tokens, limit)], Some(limit), seed);
        let mut held = Vec::new();
        let mut now = 0;
        for (gap, prompt, output, share, used, what) in steps {
            now += gap;
            let now = at(now);
            let estimate = Estimate { prompt, output };
            match what {
                0 => {
                    let mut view = told(Dimension::Tokens, share, used);
                    view.age = Duration::from_millis(prompt);
                    limits.tell(now, 3, [view, told(Dimension::InFlight, share, used)]);
                }
                1 => {
                    let usage = Usage { input: output, cache_read: prompt, ..Usage::default() };
                    for reservation in held.drain(..) {
                        limits.settle(now, reservation, Settled::Used(&usage));
                    }
                }
                _ => {}
            }
            match limits.reserve(now, "m", estimate) {
                Ok(reservation) => held.push(reservation),
                Err(full) => {
                    prop_assert!(full.retry_after <= Duration::from_secs(70));
                    prop_assert!(full.retry_after > Duration::ZERO);
                }
            }
            prop_assert_eq!(limits.in_flight(), held.len() as u64);
            let u = limits.utilisation(now, "m", estimate).unwrap();
            prop_assert!(u.is_finite() && u >= 0.0, "{u}");
            for (_, _, draw) in limits.draws(now) {
                for part in [draw.demand, draw.used, draw.recent] {
                    prop_assert!(part.is_finite() && part >= 0.0, "{draw:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_left_is_the_fleets_and_comes_back_as_the_window_empties() {
    let key = CompiledLimits {
        requests_per_minute: Some(10),
        tokens_per_minute: Some(1_000),
        max_in_flight: Some(5),
    };
    let mut limits = Limits::new(Rule::of_key(&key), key.max_in_flight, 1);
    let fresh = |dimension, limit| Left { dimension, limit, left: limit, reset: Duration::ZERO };
    let (requests, tokens) = (Dimension::Requests, Dimension::Tokens);
    assert!(limits.left(at(0)).eq([fresh(requests, 10), fresh(tokens, 1_000)]));
    let others = Draw { demand: 4.0, used: 4.0, recent: 4.0 / 6.0 };
    let word = Word { quota: None, dimension: requests, share: 6.0, others, age: Duration::ZERO };
    limits.tell(at(0), 2, [word]);
    let held = limits.reserve(at(0), "any", SMALL).unwrap();
    let left: Vec<Left> = limits.left(at(0)).collect();
    assert_eq!((left[0].left, left[1].left), (5, 700), "own, reserved and of others");
    let minute = Duration::from_secs(60)..=Duration::from_secs(70);
    assert!(left.iter().all(|left| minute.contains(&left.reset)), "{left:?}");
    assert!(!limits.is_idle(at(3_600_000)), "one is in flight");
    limits.settle(at(1_000), held, Settled::Failed);
    assert_eq!(limits.left(at(1_000)).last().unwrap(), fresh(tokens, 1_000));
    assert!(!limits.is_idle(at(600_000)) && limits.is_idle(at(600_001)));
}
