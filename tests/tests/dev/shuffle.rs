//! RandomShuffle: shares follow the weights, weight 0 is for fallback alone, and an edit of a weight
//! is served.

use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use crate::rig::{alias, ask, entry, request, target};

/// Requests per share.
const N: usize = 400;

struct Split {
    moniker: Moniker,
    a: Upstream,
    b: Upstream,
    zero: Upstream,
    targets: String,
}

fn lineup(targets: &str, weights: [u32; 2]) -> String {
    let entries = [
        entry("a", &format!(", weight: {}", weights[0])),
        entry("b", &format!(", weight: {}", weights[1])),
        entry("zero", ", weight: 0"),
    ];
    targets.to_owned() + &alias("split", "RandomShuffle", &entries, &["fallback: {retries: 0}"])
}

impl Split {
    async fn start(weights: [u32; 2]) -> Self {
        let (a, b) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
        let zero = Upstream::start().await.unwrap();
        let targets = target("a", &a.url(), &[])
            + &target("b", &b.url(), &[])
            + &target("zero", &zero.url(), &[]);
        let moniker = Moniker::dev(&lineup(&targets, weights)).await.unwrap();
        Self { moniker, a, b, zero, targets }
    }

    /// How many of N requests `a` gets.
    async fn share(&self) -> usize {
        let (a, b) = (self.a.count(), self.b.count());
        for i in 0..N {
            let answer = ask(&self.moniker, &request("split", i.is_multiple_of(2))).await;
            assert_eq!((answer.status, answer.told().0), (200, "1"), "{}", answer.body);
        }
        let (a, b) = (self.a.count() - a, self.b.count() - b);
        assert_eq!(a + b, N, "weight 0 gets nothing while others work");
        a
    }
}

/// Within five standard deviations: once in a million runs it fails by chance.
#[expect(clippy::cast_precision_loss, reason = "counts of some hundreds")]
fn likely(got: usize, p: f64) {
    let n = N as f64;
    let bound = 5.0 * (n * p * (1.0 - p)).sqrt();
    assert!((got as f64 - n * p).abs() <= bound, "{got} of {N} at {p}");
}

#[tokio::test]
async fn shares_follow_the_weights_and_their_edits() {
    let mut split = Split::start([80, 20]).await;
    likely(split.share().await, 0.8);
    split.moniker.edit(&lineup(&split.targets, [30, 90])).unwrap();
    split.moniker.printed("Loaded again").await.unwrap();
    likely(split.share().await, 0.25);
    split.moniker.edit(&lineup(&split.targets, [0, 5])).unwrap();
    split.moniker.printed_times("Loaded again", 2).await.unwrap();
    assert_eq!(split.share().await, 0);
    assert_eq!(split.zero.count(), 0);
}

#[tokio::test]
async fn weight_zero_serves_when_nothing_else_does() {
    let split = Split::start([1, 1]).await;
    split.a.always(Script::error(500, "server_error", "boom"));
    for i in 0..20 {
        let answer = ask(&split.moniker, &request("split", i % 2 == 0)).await;
        assert_eq!((answer.status, answer.told().1), (200, "b"), "the other weight first");
    }
    split.b.always(Script::error(500, "server_error", "boom"));
    for i in 0..20 {
        let answer = ask(&split.moniker, &request("split", i % 2 == 0)).await;
        assert_eq!((answer.status, answer.told().1), (200, "zero"), "{}", answer.body);
    }
}
