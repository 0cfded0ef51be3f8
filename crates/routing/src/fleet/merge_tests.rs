//! Laws of the merge.

use proptest::prelude::*;

use super::*;
use crate::stats::{Part, TimeScale};
use crate::{fleet::KeyReport, spend::Counter};

fn target(n: u8) -> ObjectId {
    ObjectId::new("ns", format!("t{n}"))
}

fn model(n: u8) -> ModelKey {
    ModelKey { target: target(n), model: "m".into() }
}

fn limit(n: u8, dimension: Dimension) -> LimitKey {
    LimitKey { target: target(n), quota: Some("main".into()), dimension }
}

fn sums(weight: f64, log: f64) -> Sums {
    let mut sums = Sums::default();
    sums.observe(Part::FirstTokenWeight, weight);
    sums.observe(Part::FirstTokenLog, log);
    sums
}

fn report() -> impl Strategy<Value = Heard> {
    let models = prop::collection::btree_map(0_u8..4, (0.1..1e6_f64, -1.0..1.0_f64), 0..4);
    let limits = prop::collection::btree_map(0_u8..4, (0.0..1e6_f64, 0.0..1e6_f64), 0..4);
    (models, limits, 0_u64..700_000).prop_map(|(models, limits, age)| Heard {
        report: Report {
            models: models.into_iter().map(|(n, (w, l))| (model(n), sums(w, l))).collect(),
            limits: limits
                .into_iter()
                .map(|(n, (demand, used))| {
                    let draw = Draw { demand, used, recent: used / 6.0 };
                    (limit(n, Dimension::Tokens), draw)
                })
                .collect(),
            ..Report::default()
        },
        age: Duration::from_millis(age),
    })
}

fn fleet() -> impl Strategy<Value = BTreeMap<String, Heard>> {
    prop::collection::btree_map("[a-z]{1,8}", report(), 1..12)
}

proptest! {
    #[test]
    fn each_is_told_the_sum_of_all_others(heard in fleet()) {
        let limits = (0..4).map(|n| (limit(n, Dimension::Tokens), 1_000)).collect();
        let views = merge(&heard, &Configured { limits, ..Configured::default() });
        prop_assert_eq!(views.len(), heard.len());
        for (name, view) in &views {
            prop_assert_eq!(view.routers as usize, heard.len());
            for n in 0..4 {
                let mut want = Sums::default();
                let mut want_draw = Draw::default();
                for h in heard.iter().filter(|(o, h)| *o != name && h.age <= OLDEST).map(|o| o.1) {
                    if let Some(sums) = h.report.models.get(&model(n)) {
                        let mut sums = *sums;
                        sums.decay(h.age);
                        want.add(&sums);
                    }
                    if let Some(draw) = h.report.limits.get(&limit(n, Dimension::Tokens)) {
                        want_draw = want_draw.plus(draw.aged(h.age));
                    }
                }
                let got = view.models.iter().find(|m| m.target == target(n));
                let got = got.map(|m| m.sums).unwrap_or_default();
                for scale in TimeScale::ALL {
                    let weight = got.get(*scale, Part::FirstTokenWeight);
                    let exact = want.get(*scale, Part::FirstTokenWeight);
                    prop_assert!(weight >= 0.0 && (weight - exact).abs() <= 1e-9 * exact.max(1.0));
                    let log = got.get(*scale, Part::FirstTokenLog);
                    let exact = want.get(*scale, Part::FirstTokenLog);
                    prop_assert!((log - exact).abs() < 1e-6);
                }
                let told = view.limits.iter().find(|l| l.key.target == target(n)).unwrap();
                prop_assert!((told.others.used - want_draw.used).abs() < 1e-6);
                prop_assert!(told.share > 0.0);
            }
        }
        for n in 0..4 {
            let of = |v: &FleetView| v.limits.iter().find(|l| l.key.target == target(n)).unwrap().share;
            let sum: f64 = views.values().map(of).sum();
            prop_assert!((sum - 1_000.0).abs() < 1e-6, "shares add up to the limit: {sum}");
        }
    }

    #[test]
    fn every_target_has_one_prober(heard in fleet()) {
        let probed: BTreeSet<_> = (0..20).map(target).collect();
        let configured = Configured { probed: probed.clone(), ..Configured::default() };
        let views = merge(&heard, &configured);
        let mut all: Vec<_> = views.values().flat_map(|v| v.probes.clone()).collect();
        all.sort();
        prop_assert_eq!(all, probed.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn the_sum_of_others_is_no_difference_of_large_sums() {
    let of = |weight: f64| Heard {
        report: Report { models: [(model(0), sums(weight, 0.0))].into(), ..Report::default() },
        ..Heard::default()
    };
    let heard = BTreeMap::from([("big", of(1e16)), ("small", of(0.125))]);
    let views = merge(&heard, &Configured::default());
    let told = views["big"].models[0].sums.get(TimeScale::Fast, Part::FirstTokenWeight);
    assert!((told - 0.125).abs() < 1e-12, "{told}");
}

#[test]
fn what_no_router_can_mean_is_left_out() {
    let mut report = Report::default();
    report.models.insert(model(0), sums(-5.0, -3.0));
    let draw = Draw { demand: f64::NAN, used: -1.0, recent: f64::INFINITY };
    report.limits.insert(limit(0, Dimension::Requests), draw);
    let heard =
        BTreeMap::from([("bad", Heard { report, age: Duration::ZERO }), ("new", Heard::default())]);
    let limits = [(limit(0, Dimension::Requests), 10)].into();
    let views = merge(&heard, &Configured { limits, ..Configured::default() });
    assert_eq!(views["new"].limits[0].others, Draw::default());
    assert!((views["new"].limits[0].share - 5.0).abs() < 1e-9);
    assert_eq!(views["new"].models, [], "less than no evidence is none");
}

#[test]
fn a_callers_key_is_divided_as_a_limit_of_a_target_is() {
    let key = KeyId { id: ObjectId::new("shop", "checkout"), uid: crate::Digest::of(b"1") };
    let of = |demand: f64, flight: f64| {
        let draw = |demand| Draw { demand, used: demand, recent: 0.0 };
        let draws = [(Dimension::Requests, draw(demand)), (Dimension::InFlight, draw(flight))];
        let seen = KeyReport { draws: draws.into(), spending: None };
        let report = Report { keys: [(key.clone(), seen)].into(), ..Report::default() };
        Heard { report, age: Duration::ZERO }
    };
    let heard = BTreeMap::from([("a", of(9.0, 3.0)), ("b", of(0.0, 0.0)), ("c", Heard::default())]);
    let limits = vec![(Dimension::Requests, 90), (Dimension::InFlight, 9)];
    let keys = [(key.clone(), ConfiguredKey { limits, budget: None })].into();
    let views = merge(&heard, &Configured { keys, ..Configured::default() });
    let told = |name: &str, n: usize| {
        let [of_key] = &views[name].keys[..] else { panic!("{:?}", views[name]) };
        assert_eq!(of_key.key, key);
        (of_key.limits[n].share, of_key.limits[n].others.used)
    };
    assert_eq!(told("a", 0), (78.0, 0.0));
    assert_eq!(told("b", 0), (6.0, 9.0));
    assert_eq!((told("a", 1), told("c", 1)), ((8.0, 0.0), (0.0, 3.0)));
    assert!(views["c"].limits.is_empty());
}

#[test]
fn what_a_budget_has_left_is_divided_by_what_is_asked_for() {
    let key = KeyId { id: ObjectId::new("shop", "checkout"), uid: crate::Digest::of(b"1") };
    let of = |spent: u128, demand: f64| {
        let counter = Counter { spent: Money::from_atto(spent), ..Counter::default() };
        let spending = Some(Spending { counter, demand });
        let seen = KeyReport { draws: BTreeMap::new(), spending };
        let report = Report { keys: [(key.clone(), seen)].into(), ..Report::default() };
        Heard { report, age: Duration::ZERO }
    };
    let heard = BTreeMap::from([("a", of(70, 3.0)), ("b", of(30, 1.0)), ("new", Heard::default())]);
    let counted = [("a".to_owned(), Money::from_atto(60))].into();
    let budget = KeyBudget { period_start: 5, spent: Money::from_atto(100), counted };
    let of_key = ConfiguredKey { limits: Vec::new(), budget: Some(budget) };
    let keys = [(key, of_key)].into();
    let views = merge(&heard, &Configured { keys, ..Configured::default() });
    let word = |name: &str| views[name].keys[0].budget.unwrap();
    assert_eq!((word("a").at.atto(), word("a").counted.atto()), (70, 60));
    assert_eq!((word("new").at.atto(), word("b").counted.atto()), (0, 0));
    assert!(views.values().all(|view| view.keys[0].budget.unwrap().spent.atto() == 100));
    // A quarter of the mean for everybody, so that one that was idle can begin.
    let parts: Vec<u32> = ["a", "b", "new"].map(|name| word(name).part).to_vec();
    assert_eq!(parts, [666_666_666, 266_666_666, 66_666_666]);
}
