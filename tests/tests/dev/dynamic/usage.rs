//! LowestUsage: targets are used in proportion to their quotas, and never beyond.

use testkit::{moniker::Moniker, upstream::Upstream};

use crate::rig::{alias, ask, entry, request, target};

#[tokio::test]
async fn quotas_are_used_in_proportion_and_never_beyond() {
    let (small, large) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let quota = |n: u32| format!("quotas: [{{name: main, requestsPerMinute: {n}}}]");
    let yaml = target("small", &small.url(), &[&quota(15)])
        + &target("large", &large.url(), &[&quota(60)])
        + &alias("fair", "LowestUsage", &[entry("small", ""), entry("large", "")], &[]);
    let moniker = Moniker::dev(&yaml).await.unwrap();

    // One in five is the small one's part.
    for n in 1..=50 {
        let answer = ask(&moniker, &request("fair", n % 2 == 0)).await;
        assert_eq!((answer.status, answer.told().0), (200, "1"), "{n}: {}", answer.body);
        let (got, part) = (small.count(), n / 5);
        assert!(got.abs_diff(part) <= 1, "{got} of {n} went to the small one");
    }
    // All of it within a minute: what is granted is used up, and then nothing is sent on.
    let mut answered = 50;
    let refused = loop {
        let answer = ask(&moniker, &request("fair", false)).await;
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
        assert!(answered <= 75, "more than both grant");
    };
    assert!(answered >= 70, "{answered} of 75 were sent");
    assert!(small.count() <= 15 && large.count() <= 60, "{} {}", small.count(), large.count());
    assert_eq!(small.count() + large.count(), answered);
    let (status, code, message) = refused.error();
    assert_eq!((status, code.as_str()), (429, "rate_limit_exceeded"), "{message}");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    // Seven buckets of 10 s: the oldest has gone after 70.
    assert!((1..=70).contains(&wait), "{wait}");
    assert_eq!(refused.header("x-moniker-attempts"), "0");
}
