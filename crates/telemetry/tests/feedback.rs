//! What a router tells the fleet is read back as it was written, out of whatever stands around it;
//! what cannot be is ignored, and what would never end is not kept.
#![cfg(test)]

use std::fmt::Write as _;

use proptest::prelude::*;
use routing::{
    Digest, Money, ObjectId,
    fleet::{Dimension, Draw, KeyId, KeyReport, LimitKey, ModelKey, Report, Spending},
    outcome::Fault,
    spend::Counter,
    stats::{Part, Sums, TimeScale},
};
use telemetry::{
    Metrics, RequestEnd,
    feedback::{self, Parser, parse},
};

fn id() -> impl Strategy<Value = ObjectId> {
    ("[a-z0-9-]{1,20}", "[a-z0-9.-]{1,20}").prop_map(|(ns, name)| ObjectId::new(ns, name))
}

/// A model's name holds what it likes.
fn model() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,40}", "\\PC{1,20}", Just("a\\n\"b\"\n/{x=\"y\"} 3,\\".to_owned())]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..1e-9, 0.0..1e3, 0.0..1e15]
}

fn sums() -> impl Strategy<Value = Sums> {
    proptest::collection::vec(number(), 2 * Part::ALL.len()).prop_map(|numbers| {
        let mut sums = Sums::default();
        let mut numbers = numbers.into_iter();
        for scale in TimeScale::ALL {
            for part in Part::ALL {
                let is_log = matches!(part, Part::FirstTokenLog | Part::TokenLog);
                let sign = if is_log { -1.0 } else { 1.0 };
                sums.set(*scale, *part, sign * numbers.next().unwrap());
            }
        }
        sums
    })
}

fn limit() -> impl Strategy<Value = (LimitKey, Draw)> {
    let dimension = proptest::sample::select(Dimension::ALL);
    let quota = proptest::option::of("[a-z]{1,12}");
    (id(), quota, dimension, [number(), number(), number()]).prop_map(
        |(target, quota, dimension, [demand, used, recent])| {
            (LimitKey { target, quota, dimension }, Draw { demand, used, recent })
        },
    )
}

fn access_key() -> impl Strategy<Value = (KeyId, KeyReport)> {
    let uid = any::<u64>().prop_map(|n| Digest::of(&n.to_le_bytes()));
    let draws = proptest::collection::btree_map(
        proptest::sample::select(Dimension::ALL),
        [number(), number(), number()].prop_map(|[demand, used, recent]| Draw {
            demand,
            used,
            recent,
        }),
        1..4,
    );
    let amount = || any::<u128>().prop_map(|atto| Money::from_atto(atto >> 40));
    let spending = (amount(), amount(), number()).prop_map(|(spent, counted, demand)| Spending {
        counter: Counter { spent, counted },
        demand,
    });
    (id(), uid, draws, proptest::option::of(spending))
        .prop_map(|(id, uid, draws, spending)| (KeyId { id, uid }, KeyReport { draws, spending }))
}

fn report() -> impl Strategy<Value = Report> {
    let key = (id(), model()).prop_map(|(target, model)| ModelKey { target, model });
    let fault = proptest::sample::select(&[Fault::Auth, Fault::OutOfCredit][..]);
    (
        proptest::collection::btree_map(key, sums(), 0..6),
        proptest::collection::btree_map(id(), fault, 0..4),
        proptest::collection::vec(limit(), 0..6),
        proptest::collection::vec(access_key(), 0..4),
    )
        .prop_map(|(models, credential_faults, limits, keys)| Report {
            // It is told beside what was spent.
            run: if keys.iter().any(|(_, seen): &(_, KeyReport)| seen.spending.is_some()) {
                "0f1e2d3c".to_owned()
            } else {
                String::new()
            },
            models,
            limits: limits.into_iter().collect(),
            keys: keys.into_iter().collect(),
            credential_faults,
        })
}

/// A router's metrics that tell this report, among all that it counts.
fn scraped(report: Report) -> String {
    let metrics = Metrics::new();
    metrics.alias("shop/prod-chat").refused(RequestEnd::Refused, std::time::Duration::ZERO);
    metrics.report_with(move || report.clone());
    let (all, part) = (metrics.render(), metrics.render_feedback());
    assert!(part.lines().all(|line| all.lines().any(|one| one == line)), "a part of {all}: {part}");
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_in_any_pieces(report in report(), size in 1_usize..99) {
        let text = scraped(report.clone());
        prop_assert_eq!(&parse(&text).unwrap(), &report);
        let mut parser = Parser::default();
        text.as_bytes().chunks(size).for_each(|piece| parser.push(piece).unwrap());
        prop_assert_eq!(parser.finish().unwrap(), report.clone());
        prop_assert_eq!(parse(&feedback::text(&report)).unwrap(), report);
    }

    #[test]
    fn noise_does_no_harm(noise in proptest::collection::vec(any::<u8>(), 0..200), report in report()) {
        let mut parser = Parser::default();
        parser.push(&noise).unwrap();
        parser.push(b"\n").unwrap();
        parser.push(feedback::text(&report).as_bytes()).unwrap();
        prop_assert_eq!(parser.finish().unwrap(), report);
    }

    /// Whatever a line of ours is made into, no number that is not finite, and none below 0 that
    /// counts something, comes of it.
    #[test]
    fn only_numbers_that_can_be_are_believed(value in "[-+0-9eE.naifNIF]{1,9}", part in proptest::sample::select(Part::ALL)) {
        let line = format!(
            "moniker_target_feedback{{target=\"a/b/c\",scale=\"Fast\",part=\"{part}\"}} {value}\n"
        );
        for sums in parse(&line).unwrap().models.values() {
            let sum = sums.get(TimeScale::Fast, part);
            prop_assert!(sum.is_finite());
            prop_assert!(sum >= 0.0 || matches!(part, Part::FirstTokenLog | Part::TokenLog));
        }
    }
}

#[test]
fn what_another_writer_would_write_is_read() {
    let text = concat!(
        "# TYPE moniker_limit_demand gauge\n",
        "  moniker_limit_demand { dimension = \"Tokens\", quota=\"main\" , provider_target=\"a/b\",} 7 1700000000000\n",
        "moniker_limit_used{provider_target=\"a/b\",dimension=\"InFlight\",zone=\"x\"} 3.5e1\r\n",
        "moniker_credential_fault{provider_target=\"a/b\",outcome=\"Auth\"} 1\n",
        "moniker_credential_fault{provider_target=\"a/c\",outcome=\"Auth\"} 0\n",
        "moniker_credential_fault{provider_target=\"a/d\",outcome=\"Timeout\"} 1\n",
        "moniker_target_feedback{target=\"a/b/org/model:7b\",scale=\"Fast\",part=\"Attempts\"} 2",
    );
    let target = ObjectId::new("a", "b");
    let limit = |quota: Option<&str>, dimension| LimitKey {
        target: target.clone(),
        quota: quota.map(str::to_owned),
        dimension,
    };
    let mut sums = Sums::default();
    sums.set(TimeScale::Fast, Part::Attempts, 2.0);
    let model = ModelKey { target: target.clone(), model: "org/model:7b".to_owned() };
    let wanted = Report {
        models: [(model, sums)].into(),
        limits: [
            (limit(Some("main"), Dimension::Tokens), Draw { demand: 7.0, ..Draw::default() }),
            (limit(None, Dimension::InFlight), Draw { used: 35.0, ..Draw::default() }),
        ]
        .into(),
        credential_faults: [(target.clone(), Fault::Auth)].into(),
        ..Report::default()
    };
    assert_eq!(parse(text).unwrap(), wanted);
}

#[test]
fn what_cannot_be_is_ignored() {
    let mut text = String::new();
    for value in ["NaN", "+Inf", "-Inf", "1e16", "-1e300", "-1", "x", ""] {
        writeln!(
            text,
            "moniker_target_feedback{{target=\"a/b/c\",scale=\"Fast\",part=\"Attempts\"}} {value}"
        )
        .unwrap();
        writeln!(
            text,
            "moniker_limit_used{{provider_target=\"a/b\",dimension=\"Tokens\"}} {value}"
        )
        .unwrap();
    }
    for labels in [
        "target=\"a/b\",scale=\"Fast\",part=\"Attempts\"",
        "target=\"a/b/\",scale=\"Fast\",part=\"Attempts\"",
        "target=\"a/b/c\",scale=\"Medium\",part=\"Attempts\"",
        "target=\"a/b/c\",scale=\"Fast\",part=\"Dreams\"",
        "target=\"a/b/c\",scale=\"Fast\"",
        "target=\"a/b/c",
        "target=a/b/c,scale=Fast",
    ] {
        writeln!(text, "moniker_target_feedback{{{labels}}} 1").unwrap();
    }
    let long = "m".repeat(1_000);
    writeln!(
        text,
        "moniker_target_feedback{{target=\"a/b/{long}\",scale=\"Fast\",part=\"Attempts\"}} 1"
    )
    .unwrap();
    assert_eq!(parse(&text).unwrap(), Report::default());
}

#[test]
fn what_never_ends_is_not_kept() {
    let mut parser = Parser::default();
    // A line without an end is held no longer than one of ours can be.
    let piece = vec![b'x'; 65_536];
    (0..1_000).for_each(|_| parser.push(&piece).unwrap());
    parser
        .push(b"\nmoniker_credential_fault{provider_target=\"a/b\",outcome=\"Auth\"} 1\n")
        .unwrap();
    assert_eq!(parser.finish().unwrap().credential_faults.len(), 1);

    let mut parser = Parser::default();
    let refused = (0..).find_map(|n| {
        let line =
            format!("moniker_limit_used{{provider_target=\"a/t{n}\",dimension=\"Tokens\"}} 1\n");
        parser.push(line.as_bytes()).err()
    });
    assert!(refused.unwrap().to_string().contains("20000"));
}
