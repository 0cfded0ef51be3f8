//! Which aliases and targets the ready routers serve as they are compiled now: after each publication every
//! router is asked, by digest, for what is not known to be served yet, at most every 250 ms. What
//! all served is not asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use routing::{Digest, ObjectId};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::{AdminToken, Kind};

use super::{Fleet, Members, scrape::Failure};
use crate::status::{Observed, Report, Seen, Subject};

/// The most that one question may ask for.
const MOST: usize = 1000;
/// How many routers are asked at once.
const AT_ONCE: usize = 32;
/// The shortest time from one round to the next, and the time to the next while some are behind.
const PAUSE: Duration = Duration::from_millis(250);
const AGAIN: Duration = Duration::from_secs(1);
/// A router that is behind is told of after so long: most are not by then.
const STABLE: Duration = Duration::from_secs(2);
/// How many routers a status names.
const NAMED: usize = 3;
/// The longest reason of a router that a status quotes, in bytes.
const QUOTED: usize = 200;

/// Something that a router should hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Pair {
    pub(crate) kind: Kind,
    pub(crate) id: ObjectId,
    /// Its digest, or a credential's hash.
    pub(crate) digest: Digest,
}

/// An alias or a target, and all that it is served by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Programme {
    pub(crate) generation: i64,
    pub(crate) pairs: Vec<Pair>,
}

/// Every alias and target that is served.
pub(crate) type Programmes = BTreeMap<Subject, Programme>;

/// What a router answers.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    missing: Vec<Named>,
    #[serde(default)]
    rejections: Vec<Rejected>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Named {
    kind: Kind,
    id: ObjectId,
}

#[derive(Clone, Debug, Deserialize)]
struct Rejected {
    kind: Kind,
    id: ObjectId,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// What a router said of what it was asked for; `None`: nothing.
type Said = Option<(BTreeSet<Named>, BTreeMap<Named, String>)>;

/// One of them on its way.
#[derive(Debug)]
struct Way {
    programme: Programme,
    /// Since when it is on its way, to these routers.
    since: Instant,
    told: Option<Seen>,
    /// Every router that was ready served it.
    arrived: bool,
}

/// Asks until `stop`.
pub(crate) async fn run(
    fleet: Fleet,
    token: Option<AdminToken>,
    mut programmes: watch::Receiver<Arc<Programmes>>,
    reports: mpsc::Sender<Report>,
    stop: CancellationToken,
) {
    let work = async {
        let mut ways: BTreeMap<Subject, Way> = BTreeMap::new();
        let mut members = fleet.0.members.subscribe();
        let mut again = None;
        loop {
            let timer = again.map(sleep_until);
            let changed = tokio::select! {
                changed = programmes.changed() => changed,
                changed = members.changed() => changed,
                () = async { match timer { Some(timer) => timer.await, None => std::future::pending().await } } => Ok(()),
            };
            if changed.is_err() {
                return;
            }
            // What changes within a moment is asked for together.
            sleep(PAUSE).await;
            let now = Instant::now();
            take(&mut ways, &programmes.borrow_and_update().clone(), now);
            let ready = members.borrow_and_update().clone();
            // While nobody can tell which routers there are, nothing is told.
            let Some(ready) = ready else { continue };
            let asked = wanted(&ways);
            let said = if asked.is_empty() {
                BTreeMap::new()
            } else {
                ask(&fleet, &ready, token.as_ref(), asked).await
            };
            let news = judge(&mut ways, &said, Instant::now());
            again = ways.values().any(|way| !way.arrived).then(|| Instant::now() + AGAIN);
            if !news.is_empty() && reports.send(Report::Observed(news)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Takes over what is published now.
fn take(ways: &mut BTreeMap<Subject, Way>, programmes: &Programmes, now: Instant) {
    ways.retain(|subject, _| programmes.contains_key(subject));
    for (subject, programme) in programmes {
        match ways.get(subject) {
            Some(way) if way.programme == *programme => {}
            _ => {
                let programme = programme.clone();
                let way = Way { programme, since: now, told: None, arrived: false };
                ways.insert(subject.clone(), way);
            }
        }
    }
}

/// What is to be asked for.
fn wanted(ways: &BTreeMap<Subject, Way>) -> Vec<Pair> {
    let pairs = ways.values().filter(|way| !way.arrived).flat_map(|way| &way.programme.pairs);
    pairs.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// What every ready router says, by its name.
async fn ask(
    fleet: &Fleet,
    ready: &Members,
    token: Option<&AdminToken>,
    asked: Vec<Pair>,
) -> BTreeMap<String, Said> {
    let asked = Arc::new(asked);
    let one = |member: super::Member| {
        let (scraper, asked) = (fleet.0.scraper.clone(), Arc::clone(&asked));
        async move {
            let mut said = (BTreeSet::new(), BTreeMap::new());
            for some in asked.chunks(MOST) {
                let answer: Result<Answer, Failure> =
                    scraper.check(member.admin, token, some).await;
                let Ok(answer) = answer.inspect_err(|failure| {
                    tracing::debug!(
                        router = member.name,
                        "it does not say what it serves: {failure}"
                    );
                }) else {
                    return (member.name, None);
                };
                said.0.extend(answer.missing);
                let why = |one: Rejected| {
                    let mut text = format!("{}: {}", one.reason, one.message);
                    text.truncate(text.floor_char_boundary(QUOTED));
                    (Named { kind: one.kind, id: one.id }, text)
                };
                said.1.extend(answer.rejections.into_iter().map(why));
            }
            (member.name, Some(said))
        }
    };
    let asking: Vec<_> = ready.values().cloned().map(one).collect();
    stream::iter(asking).buffer_unordered(AT_ONCE).collect().await
}

/// What follows for each that is on its way; what is new is to be told.
fn judge(
    ways: &mut BTreeMap<Subject, Way>,
    said: &BTreeMap<String, Said>,
    now: Instant,
) -> Vec<(Subject, Observed)> {
    let mut news = Vec::new();
    for (subject, way) in ways.iter_mut().filter(|(_, way)| !way.arrived) {
        let seen = seen(&way.programme, said);
        way.arrived = seen == Seen::All;
        let behind = matches!(seen, Seen::Behind { .. });
        if behind && now.duration_since(way.since) < STABLE || way.told.as_ref() == Some(&seen) {
            continue;
        }
        way.told = Some(seen.clone());
        let generation = way.programme.generation;
        news.push((subject.clone(), Observed { generation, seen }));
    }
    news
}

fn seen(programme: &Programme, said: &BTreeMap<String, Said>) -> Seen {
    let of = said.len();
    if of == 0 {
        return Seen::NoRouters;
    }
    let named = |pair: &Pair| Named { kind: pair.kind.clone(), id: pair.id.clone() };
    let (mut missing, mut rejected) = (Vec::new(), Vec::new());
    for (router, said) in said {
        let Some((lacks, rejects)) = said else {
            missing.push(router.as_str());
            continue;
        };
        let all = || programme.pairs.iter().map(named);
        // One that is rejected is held at its last good form, if at all.
        let why = all().find_map(|named| Some((rejects.get(&named)?, named)));
        if let Some((why, Named { kind, id })) = why {
            rejected.push(format!("router {router} cannot use {kind} {id}: {why}"));
        } else if all().any(|named| lacks.contains(&named)) {
            missing.push(router.as_str());
        }
    }
    let served = of - missing.len() - rejected.len();
    if !rejected.is_empty() {
        let more = rejected.len().saturating_sub(NAMED);
        rejected.truncate(NAMED);
        return Seen::Rejected { served, of, message: listed(&rejected.join("; "), more) };
    }
    if missing.is_empty() {
        return Seen::All;
    }
    let more = missing.len().saturating_sub(NAMED);
    missing.truncate(NAMED);
    Seen::Behind { served, of, missing: listed(&missing.join(", "), more) }
}

fn listed(names: &str, more: usize) -> String {
    if more == 0 { names.to_owned() } else { format!("{names} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(kind: Kind, name: &str, digest: &str) -> Pair {
        Pair { kind, id: ObjectId::new("shop", name), digest: Digest::of(digest.as_bytes()) }
    }

    fn programmes(digest: &str) -> Programmes {
        let pairs = vec![pair(Kind::Alias, "chat", digest), pair(Kind::Target, "t", "t")];
        [(Subject::alias(ObjectId::new("shop", "chat")), Programme { generation: 4, pairs })].into()
    }

    type Lists = (BTreeSet<Named>, BTreeMap<Named, String>);

    fn said(missing: &[&str], rejected: &[&str]) -> Lists {
        let named = |name: &&str| {
            let (kind, name) = name.split_once('/').unwrap();
            Named { kind: kind.into(), id: ObjectId::new("shop", name) }
        };
        let why = |name| (named(name), "FeatureUnknown: it lacks x".to_owned());
        (missing.iter().map(named).collect(), rejected.iter().map(why).collect())
    }

    fn told(
        ways: &mut BTreeMap<Subject, Way>,
        routers: &[(&str, Option<Lists>)],
        now: Instant,
    ) -> Option<Seen> {
        let said = routers.iter().map(|(name, said)| ((*name).to_owned(), said.clone()));
        let mut news = judge(ways, &said.collect(), now);
        assert!(news.len() <= 1);
        Some(news.pop()?.1.seen)
    }

    #[tokio::test(start_paused = true)]
    async fn what_all_serve_has_arrived_and_is_asked_for_no_more() {
        let (mut ways, now) = (BTreeMap::new(), Instant::now());
        take(&mut ways, &programmes("one"), now);
        assert_eq!(wanted(&ways).len(), 2);
        assert_eq!(told(&mut ways, &[], now), Some(Seen::NoRouters));
        let one_behind =
            [("a", Some(said(&[], &[]))), ("b", Some(said(&["Target/t"], &[]))), ("c", None)];
        assert_eq!(told(&mut ways, &one_behind, now), None, "most are not behind for long");
        let behind = Seen::Behind { served: 1, of: 3, missing: "b, c".to_owned() };
        assert_eq!(told(&mut ways, &one_behind, now + STABLE), Some(behind));
        assert_eq!(told(&mut ways, &one_behind, now + STABLE), None, "it is told once");
        let all = [("a", Some(said(&[], &[]))), ("b", Some(said(&["Target/other"], &[])))];
        assert_eq!(told(&mut ways, &all, now + STABLE), Some(Seen::All));
        assert!(wanted(&ways).is_empty());
        // The same again asks for nothing, and another form does.
        take(&mut ways, &programmes("one"), now);
        assert!(wanted(&ways).is_empty());
        take(&mut ways, &programmes("two"), now);
        assert_eq!(wanted(&ways).len(), 2);
        take(&mut ways, &Programmes::new(), now);
        assert!(ways.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejection_is_told_at_once_and_names_three_at_most() {
        let (mut ways, now) = (BTreeMap::new(), Instant::now());
        take(&mut ways, &programmes("one"), now);
        let bad = || Some(said(&["Alias/chat"], &["Alias/chat"]));
        let routers =
            [("a", bad()), ("b", bad()), ("c", bad()), ("d", bad()), ("e", Some(said(&[], &[])))];
        let Some(Seen::Rejected { served, of, message }) = told(&mut ways, &routers, now) else {
            panic!("it is not rejected")
        };
        assert_eq!((served, of), (1, 5));
        assert!(
            message.contains("router c cannot use Alias shop/chat: FeatureUnknown"),
            "{message}"
        );
        assert!(message.ends_with("and 1 more") && !message.contains("router d"), "{message}");
        assert!(message.len() <= api::condition::MAX_MESSAGE);
        // It is looked at again, and may be mended.
        let fine = [("a", Some(said(&[], &[])))];
        assert_eq!(told(&mut ways, &fine, now), Some(Seen::All));
    }
}
