//! One object's status, as a state machine: what is wanted, what stands, and whether to write now,
//! later or not. Pure: times are arguments, and the writer performs what a step asks for.

use std::sync::Arc;
use std::time::Duration;

use api::spending::BudgetStatus;
use k8s_openapi::jiff::Timestamp;
use routing::Digest;
use routing::spend::{Heard, Ledger};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;

use super::merge::{BUDGET, Difference, difference, keep, merge};
use super::programmed::{Observed, Told, program};
use super::transition::{Transition, transitions};

/// The count of users is written at most so often.
const USED_BY_PERIOD: Duration = Duration::from_secs(30);
/// What was spent is written at most so often.
const SPENT_PERIOD: Duration = Duration::from_secs(60);

/// A status as JSON text: ten thousand are held, and few are looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text(Arc<str>);

impl Text {
    /// The text of a status.
    pub(crate) fn of(status: &impl Serialize) -> Self {
        Self(serde_json::to_string(status).unwrap_or_default().into())
    }

    /// A member of the status; `None`: it is not there, or is not what it should be.
    pub(crate) fn member<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.value().get_mut(name)?.take()).ok()
    }

    /// The status; null where there is none.
    fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// An object as the API server holds it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) uid: String,
    pub(crate) version: u64,
    pub(crate) generation: i64,
    pub(crate) status: Text,
}

/// The moment of a step, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
}

impl Now {
    fn until(self, at: Timestamp) -> Instant {
        let left = at.duration_since(self.wall);
        self.instant + Duration::try_from(left).unwrap_or_default()
    }
}

/// What to do about an object.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Nothing, until something changes.
    Rest,
    /// Look again then.
    Wait(Instant),
    /// Write this status over the object of this uid and version.
    Write { uid: String, version: u64, status: Value },
}

/// How a write ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It stands now, with this version.
    Written { version: u64, status: Text },
    /// Somebody else wrote meanwhile: wait for that to be seen, at most so long.
    Conflict(Duration),
    /// Try again after this.
    Later(Duration),
    /// Trying again is of no use until something changes.
    Useless,
}

/// What is known of one object's status.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    wanted: Option<Text>,
    live: Option<Live>,
    /// What this process wrote last, until the watch has caught up with it.
    written: Option<(u64, Text)>,
    /// A status that is as it should be, or that writing does not change, at this version.
    settled: Option<(u64, Text)>,
    /// A write is under way, begun for this wish and version, over this status.
    writing: Option<Writing>,
    counted_at: Option<Instant>,
    /// What was heard of the spending of a caller's key, and of which one.
    spending: Option<(Digest, Arc<Heard>)>,
    /// No write before this.
    not_before: Option<Instant>,
    /// Whether routers are asked for it, and what was seen there last.
    programmed: bool,
    observed: Option<Observed>,
    /// The wait is for news of the object, and ends with them.
    conflicted: bool,
}

/// A write that is under way.
#[derive(Debug)]
struct Writing {
    version: u64,
    wrote: Text,
    over: Text,
}

impl Entry {
    /// Of an object for which routers are asked, or not.
    pub(crate) fn new(programmed: bool) -> Self {
        Self { programmed, ..Self::default() }
    }

    /// What was seen of it on the ready routers.
    pub(crate) fn observe(&mut self, observed: Observed) {
        self.observed = Some(observed);
    }

    /// What was heard of what it spent, if it is this one.
    pub(crate) fn spent(&mut self, uid: Digest, heard: Arc<Heard>) {
        self.spending = Some((uid, heard));
    }

    /// The process ends: what was spent is written now or never. Whether any was heard of.
    pub(crate) fn hurry(&mut self) -> bool {
        let spent = self.spending.is_some();
        if spent {
            self.counted_at = None;
        }
        spent
    }

    /// What the compiler wants; `None`: it has no opinion any more.
    pub(crate) fn want(&mut self, wanted: Option<Text>) {
        self.wanted = wanted;
        self.settled = None;
    }

    /// What the API server holds; `None`: it is gone.
    pub(crate) fn see(&mut self, live: Option<Live>) {
        let seen = live.as_ref().map_or(u64::MAX, |live| live.version);
        let recreated = match (&self.live, &live) {
            (Some(before), Some(now)) => before.uid != now.uid,
            _ => true,
        };
        if recreated || self.written.as_ref().is_some_and(|(version, _)| *version <= seen) {
            self.written = None;
        }
        // What a conflict waited for has come.
        if self.conflicted && self.version() < seen {
            self.not_before = None;
            self.conflicted = false;
        }
        self.live = live;
    }

    /// Whether nothing is left to remember.
    pub(crate) fn is_over(&self) -> bool {
        self.wanted.is_none() && self.live.is_none() && self.writing.is_none()
    }

    fn version(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.version)
    }

    /// What to do now. After a `Write`, [`Entry::done`] must follow. `ours` are the types of our
    /// conditions, `kept` those of which nobody can tell yet, so that they stay as they stand.
    pub(crate) fn step(&mut self, now: Now, ours: &[&str], kept: &[&str]) -> Step {
        let (Some(wanted), Some(live)) = (&self.wanted, &self.live) else { return Step::Rest };
        if self.writing.is_some() {
            return Step::Rest;
        }
        let (version, standing) = match &self.written {
            Some((version, status)) => (*version, status.clone()),
            None => (live.version, live.status.clone()),
        };
        let over = standing.clone();
        let standing = standing.value();
        let mut wanted = wanted.value();
        keep(&mut wanted, &standing, kept);
        let spent = matches!(wanted.get(BUDGET), Some(Value::Object(_)));
        if spent {
            let heard =
                self.spending.as_ref().filter(|(uid, _)| *uid == Digest::of(live.uid.as_bytes()));
            let heard = heard.map(|(_, heard)| &**heard);
            wanted[BUDGET] = add_spending(&wanted[BUDGET], &standing[BUDGET], heard);
        }
        if self.programmed && program(&mut wanted, &standing, self.observed.as_ref()) == Told::Soon
        {
            return Step::Rest;
        }
        let merged = merge(&wanted, &standing, live.generation, now.wall);
        let settled = match &self.settled {
            Some((at, status)) if *at == version => same(&status.value(), &merged.status, ours),
            _ => false,
        };
        let difference = match difference(&merged.status, &standing, ours) {
            Difference::None => {
                return merged.changes_at.map_or(Step::Rest, |at| Step::Wait(now.until(at)));
            }
            _ if settled => {
                return merged.changes_at.map_or(Step::Rest, |at| Step::Wait(now.until(at)));
            }
            difference => difference,
        };
        let due = match difference {
            Difference::Count if spent => self.counted_at.map(|at| at + SPENT_PERIOD),
            Difference::Count => self.counted_at.map(|at| at + USED_BY_PERIOD),
            _ => None,
        };
        if let Some(due) = due.max(self.not_before)
            && due > now.instant
        {
            return Step::Wait(due);
        }
        self.not_before = None;
        self.conflicted = false;
        // A write that says nothing new of what was spent keeps no later one waiting.
        let counted = !spent
            || standing[BUDGET].is_object()
                && standing[BUDGET]["spent"] != merged.status[BUDGET]["spent"];
        if counted {
            self.counted_at = Some(now.instant);
        }
        self.writing = Some(Writing { version, wrote: Text::of(&merged.status), over });
        Step::Write { uid: live.uid.clone(), version, status: merged.status }
    }

    /// The write ended; what of it is news.
    pub(crate) fn done(&mut self, outcome: Outcome, now: Instant) -> Vec<Transition> {
        let Some(Writing { version: based_on, wrote, over }) = self.writing.take() else {
            return Vec::new();
        };
        let mut news = Vec::new();
        match outcome {
            Outcome::Written { version, status } => {
                news = transitions(&over.value(), &wrote.value());
                self.settled = Some((version, wrote));
                // Not if the watch was faster.
                if version > self.version() {
                    self.written = Some((version, status));
                }
            }
            Outcome::Conflict(patience) => {
                // Not if what it conflicts with has been seen already.
                if self.version() <= based_on {
                    self.not_before = Some(now + patience);
                    self.conflicted = true;
                }
            }
            Outcome::Later(delay) => self.not_before = Some(now + delay),
            Outcome::Useless => self.settled = Some((based_on, wrote)),
        }
        news
    }
}

/// What is to be stored of a key's spending: what stands, or what the compiler wants where that is of
/// a later period, and what was heard since. What stands goes before what this process knows, so
/// that two of them never count the same.
fn add_spending(wanted: &Value, standing: &Value, heard: Option<&Heard>) -> Value {
    let read = |value: &Value| serde_json::from_value::<BudgetStatus>(value.clone()).ok();
    let wanted = read(wanted).unwrap_or_default().ledger();
    let mut ledger = read(standing).map_or_else(|| wanted.clone(), |standing| standing.ledger());
    if let Some(heard) = heard {
        ledger = ledger.with(heard);
    }
    if wanted.period_start > ledger.period_start {
        ledger = Ledger { sources: ledger.sources, ..wanted };
    }
    serde_json::to_value(BudgetStatus::of(&ledger)).unwrap_or_default()
}

fn same(a: &Value, b: &Value, ours: &[&str]) -> bool {
    difference(a, b, ours) == Difference::None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OURS: &[&str] = &["Ready", "Reconciling", "Stalled"];

    fn now(seconds: u64) -> Now {
        // One origin for all moments of a test thread.
        thread_local!(static ORIGIN: Instant = Instant::now());
        let instant = ORIGIN.with(|origin| *origin) + Duration::from_secs(seconds);
        let wall = Timestamp::from_second(1_700_000_000).unwrap() + Duration::from_secs(seconds);
        Now { instant, wall }
    }

    fn ready(status: &str, used_by: i64) -> Text {
        let condition = json!({
            "type": "Ready", "status": status, "reason": "R", "message": "", "observedGeneration": 1,
        });
        Text::of(&json!({"usedBy": used_by, "conditions": [condition]}))
    }

    fn live(version: u64, status: &Value) -> Live {
        Live { uid: "u".to_owned(), version, generation: 1, status: Text::of(status) }
    }

    /// Takes the step, which must be a write, and answers it with this version.
    fn written(entry: &mut Entry, at: Now, version: u64) -> Value {
        let Step::Write { status, .. } = entry.step(at, OURS, &[]) else { panic!("no write") };
        let outcome = Outcome::Written { version, status: Text::of(&status) };
        entry.done(outcome, at.instant);
        status
    }

    fn rests(entry: &mut Entry, at: Now) -> bool {
        matches!(entry.step(at, OURS, &[]), Step::Rest)
    }

    #[test]
    fn a_transition_is_written_once() {
        let mut entry = Entry::default();
        entry.want(Some(ready("True", 0)));
        assert!(rests(&mut entry, now(0)), "nothing is known to stand");
        entry.see(Some(live(5, &json!({}))));
        let status = written(&mut entry, now(0), 6);
        assert!(rests(&mut entry, now(1)), "the watch need not have told yet");
        entry.see(Some(live(6, &status)));
        assert!(rests(&mut entry, now(2)));
    }

    #[test]
    fn what_somebody_else_undoes_is_written_again() {
        let mut entry = Entry::default();
        entry.want(Some(ready("True", 0)));
        entry.see(Some(live(5, &json!({}))));
        let status = written(&mut entry, now(0), 6);
        entry.see(Some(live(6, &status)));
        entry.see(Some(live(7, &json!({}))));
        written(&mut entry, now(1), 8);
    }

    #[test]
    fn what_a_write_does_not_change_is_not_written_again() {
        let mut entry = Entry::default();
        entry.want(Some(ready("True", 0)));
        entry.see(Some(live(5, &json!({"foreign": 1}))));
        let Step::Write { mut status, .. } = entry.step(now(0), OURS, &[]) else {
            panic!("no write")
        };
        status["foreign"] = json!(1);
        entry.done(Outcome::Written { version: 6, status: Text::of(&status) }, now(0).instant);
        assert!(rests(&mut entry, now(1)));
        entry.see(Some(live(6, &status)));
        assert!(rests(&mut entry, now(2)));
    }

    #[test]
    fn the_count_of_users_waits_but_a_transition_does_not() {
        let mut entry = Entry::default();
        entry.want(Some(ready("True", 1)));
        entry.see(Some(live(5, &json!({}))));
        let status = written(&mut entry, now(0), 6);
        entry.see(Some(live(6, &status)));

        entry.want(Some(ready("True", 2)));
        let Step::Wait(due) = entry.step(now(1), OURS, &[]) else { panic!("written at once") };
        assert_eq!(due, now(30).instant);
        entry.want(Some(ready("False", 3)));
        let status = written(&mut entry, now(2), 7);
        assert_eq!(status["usedBy"], 3);
        entry.see(Some(live(7, &status)));
        entry.want(Some(ready("False", 4)));
        written(&mut entry, now(32), 8);
    }

    #[test]
    fn a_conflict_waits_for_the_news() {
        let mut entry = Entry::default();
        entry.want(Some(ready("True", 0)));
        entry.see(Some(live(5, &json!({}))));
        let Step::Write { version: 5, .. } = entry.step(now(0), OURS, &[]) else {
            panic!("no write")
        };
        entry.done(Outcome::Conflict(Duration::from_secs(2)), now(0).instant);
        assert!(matches!(entry.step(now(1), OURS, &[]), Step::Wait(_)));
        entry.see(Some(live(6, &json!({}))));
        let Step::Write { version: 6, .. } = entry.step(now(1), OURS, &[]) else {
            panic!("no write")
        };
    }

    #[test]
    fn news_do_not_shorten_a_backoff() {
        let mut entry = Entry::default();
        entry.want(Some(ready("True", 0)));
        entry.see(Some(live(5, &json!({}))));
        let Step::Write { .. } = entry.step(now(0), OURS, &[]) else { panic!("no write") };
        entry.done(Outcome::Later(Duration::from_secs(9)), now(0).instant);
        entry.see(Some(live(6, &json!({}))));
        assert!(matches!(entry.step(now(1), OURS, &[]), Step::Wait(_)));
        assert!(matches!(entry.step(now(9), OURS, &[]), Step::Write { .. }));
    }

    #[test]
    fn one_that_was_made_again_is_looked_at_afresh() {
        let mut entry = Entry::default();
        entry.want(Some(ready("True", 0)));
        entry.see(Some(live(5, &json!({}))));
        written(&mut entry, now(0), 6);
        let mut again = live(8, &json!({}));
        again.uid = "v".to_owned();
        entry.see(Some(again));
        let Step::Write { uid, .. } = entry.step(now(1), OURS, &[]) else { panic!("no write") };
        assert_eq!(uid, "v");
    }

    #[test]
    fn a_wait_that_time_alone_ends_is_scheduled() {
        let mut entry = Entry::default();
        let waiting = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "observedGeneration": 1});
        let conditions = [waiting("Ready", "False"), waiting("Reconciling", "True")];
        entry.want(Some(Text::of(&json!({"conditions": conditions}))));
        entry.see(Some(live(5, &json!({}))));
        let status = written(&mut entry, now(0), 6);
        entry.see(Some(live(6, &status)));
        let Step::Wait(due) = entry.step(now(10), OURS, &[]) else { panic!("no wait") };
        assert_eq!(due, now(300).instant);
        let Step::Write { status, .. } = entry.step(now(300), OURS, &[]) else {
            panic!("no write")
        };
        assert!(status.to_string().contains("Stalled"));
    }

    fn key(budget: &Value) -> Text {
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "R", "message": "", "observedGeneration": 1,
        });
        Text::of(&json!({"budget": budget, "conditions": [condition]}))
    }

    fn heard(counters: &[(&str, &str)]) -> Arc<Heard> {
        let mut heard = Heard::default();
        heard.is_period(1_700_000_000);
        for (router, spent) in counters {
            let spent = routing::Money::parse(spent).unwrap();
            heard.hear(router, routing::spend::Counter { spent, ..Default::default() });
        }
        Arc::new(heard)
    }

    #[test]
    fn what_was_spent_is_added_to_what_stands_once_a_minute_and_never_twice() {
        let uid = Digest::of(b"u");
        let spent = |status: &Value| status["budget"]["spent"].as_str().unwrap().to_owned();
        let zero = json!({"periodStart": "2023-11-14T22:13:20Z", "spent": "0"});
        let mut entry = Entry::default();
        entry.want(Some(key(&zero)));
        entry.see(Some(live(5, &json!({}))));
        let first = written(&mut entry, now(0), 6);
        assert_eq!(spent(&first), "0");
        entry.spent(uid, heard(&[("a/1", "0.25")]));
        let begun = written(&mut entry, now(1), 7);
        assert_eq!(spent(&begun), "0.25", "the first is written at once");
        entry.spent(uid, heard(&[("a/1", "0.5")]));
        let Step::Wait(due) = entry.step(now(2), OURS, &[]) else { panic!("no wait") };
        assert_eq!(due, now(61).instant);
        entry.spent(uid, heard(&[("a/1", "0.5"), ("b/1", "1")]));
        let second = written(&mut entry, now(61), 8);
        assert_eq!(spent(&second), "1.5");
        assert!(rests(&mut entry, now(62)), "the same says nothing new");
        // Another replica has written meanwhile, and heard more of one of them.
        let theirs = json!({
            "periodStart": "2023-11-14T22:13:20Z", "spent": "1.75",
            "sources": [{"router": "a/1", "spent": "0.75"}, {"router": "b/1", "spent": "1"}],
        });
        entry.see(Some(live(9, &json!({"budget": theirs, "conditions": second["conditions"]}))));
        assert!(rests(&mut entry, now(200)));
        entry.spent(uid, heard(&[("a/1", "1"), ("b/1", "1")]));
        assert!(entry.hurry());
        let third = written(&mut entry, now(201), 10);
        assert_eq!(spent(&third), "2", "a quarter more");
        // What is heard of another of that name is nothing to this one.
        entry.spent(Digest::of(b"other"), heard(&[("a/1", "9")]));
        assert!(rests(&mut entry, now(900)));
        // A warning is a transition, and takes what was heard along.
        entry.spent(uid, heard(&[("a/1", "1"), ("b/1", "3")]));
        let mut warned = key(&zero).value();
        warned["conditions"][0]["status"] = json!("False");
        entry.want(Some(Text::of(&warned)));
        let fourth = written(&mut entry, now(202), 11);
        assert_eq!(spent(&fourth), "4");
    }
}
