//! A first choice that is down for a while and comes back: everything is served meanwhile, it is
//! asked seldom, and it is the first choice again.

use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use crate::rig::{ask, priority, request, target};

/// Ejections short enough for a test.
const EJECTION: &str = "ejection: {consecutiveFailures: 3, base: 300ms, max: 1s}";
/// Requests while the first choice is down.
const MEANWHILE: usize = 200;
/// More requests than any recovery here takes; only a failure sends them all.
const MOST: usize = 200_000;

struct Lineup {
    moniker: Moniker,
    first: Upstream,
    _second: Upstream,
}

impl Lineup {
    async fn start() -> Self {
        let (first, second) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
        let yaml = target("first", &first.url(), &[EJECTION])
            + &target("second", &second.url(), &[])
            + &priority("chat", &["first", "second"], &[]);
        Self { moniker: Moniker::dev(&yaml).await.unwrap(), first, _second: second }
    }

    /// Sends a request, which must be served; says by whom.
    async fn served(&self, i: usize) -> String {
        let answer = ask(&self.moniker, &request("chat", i.is_multiple_of(2))).await;
        assert_eq!((answer.status, answer.said().as_str()), (200, "hello"), "{}", answer.body);
        answer.told().1.to_owned()
    }

    /// Sends requests until the first choice serves again, and then some.
    async fn comes_back(&self) {
        let mut back = false;
        for i in 0..MOST {
            back = self.served(i).await == "first";
            if back {
                break;
            }
        }
        assert!(back, "the first choice never came back");
        for i in 0..20 {
            assert_eq!(self.served(i).await, "first", "one success is enough");
        }
    }
}

#[tokio::test]
async fn a_first_choice_that_refuses_connections_comes_back() {
    let lineup = Lineup::start().await;
    for i in 0..4 {
        assert_eq!(lineup.served(i).await, "first");
    }
    lineup.first.stop().await;
    for i in 0..MEANWHILE {
        assert_eq!(lineup.served(i).await, "second");
    }
    lineup.first.start_again().await.unwrap();
    lineup.comes_back().await;
}

#[tokio::test]
async fn a_first_choice_that_answers_errors_comes_back_and_is_asked_seldom_meanwhile() {
    let lineup = Lineup::start().await;
    lineup.first.always(Script::error(503, "server_error", "down"));
    for i in 0..MEANWHILE {
        assert_eq!(lineup.served(i).await, "second");
    }
    // Three until it is ejected, then one each time that it might have recovered.
    let asked = lineup.first.count();
    assert!((3..=MEANWHILE / 4).contains(&asked), "{asked} of {MEANWHILE}");
    lineup.first.always(Script::chat("hello"));
    lineup.comes_back().await;
}

#[tokio::test]
async fn a_first_choice_that_is_rate_limited_comes_back_after_its_time() {
    let lineup = Lineup::start().await;
    lineup.first.then(Script::rate_limited("2"));
    for i in 0..3 {
        assert_eq!(lineup.served(i).await, "second");
    }
    assert_eq!(lineup.first.count(), 1, "not asked before its time");
    lineup.comes_back().await;
    assert_eq!(lineup.first.count(), 22, "half-open by one real request, then all");
}

/// Many at once while it is half-open: one of them tries it, nobody waits for that one.
#[tokio::test]
async fn one_request_at_a_time_tries_a_first_choice_that_may_have_recovered() {
    let lineup = Lineup::start().await;
    lineup.first.always(Script::error(500, "server_error", "down"));
    for i in 0..3 {
        assert_eq!(lineup.served(i).await, "second");
    }
    lineup.first.always(Script::hang());
    // The one that tries it is held by the silence; the others are served past it.
    let mut stuck = None;
    for i in 0..MOST {
        let mut one = Box::pin(lineup.served(i));
        tokio::select! {
            by = &mut one => assert_eq!(by, "second"),
            came = lineup.first.wait_for(4) => {
                came.unwrap();
                stuck = Some(one);
                break;
            }
        }
    }
    assert!(stuck.is_some(), "nobody tried it");
    for i in 0..20 {
        assert_eq!(lineup.served(i).await, "second");
    }
    assert_eq!(lineup.first.count(), 4, "one real request");
}
