//! The rules of the store, one by one, with time as an argument.

use std::{collections::BTreeMap, time::Duration};

use routing::{Digest, Nanos, ObjectId, revision::revision, snapshot::CompiledAlias};
use serde_json::{json, value::RawValue};
use wire::{
    Cause, Commit, Counts, Credential, CredentialFrame, Frame, Hello, Hold, Key, Kind, Remove,
    Unreadable, Upsert,
};

use super::{Applied, Effects, Store, Void};

const T0: Nanos = Nanos::ZERO;

fn secs(n: u64) -> Nanos {
    T0 + Duration::from_secs(n)
}

fn id(name: &str) -> ObjectId {
    ObjectId::new("shop", name)
}

fn alias_json(name: &str, model: &str) -> String {
    json!({
        "id": format!("shop/{name}"), "model": model, "visibility": "Public", "export": "Same",
        "created": 1,
        "candidates": [{"entry": "one", "target": "shop/t", "model": "m"}],
        "lineup": {
            "strategy": {"type": "Priority"},
            "tiers": [[{"name": "one", "weight": 1, "members": {"Candidates": [0]}}]],
        },
        "fallback": {"max_attempts": 3, "retries": null, "outcomes": []},
        "timeouts": {
            "request_ms": 1000, "first_token_ms": 1000, "attempt_ms": null, "stream_idle_ms": 1000,
        },
    })
    .to_string()
}

fn target_json(name: &str) -> String {
    json!({
        "id": format!("shop/{name}"), "provider": "OpenAICompatible",
        "endpoint": {"url": "http://127.0.0.1:1/v1", "service": false},
        "auth": {"kind": "Bearer"}, "headers": [],
        "models": [{"name": "m", "upstream_name": "m", "capabilities": ["Chat"]}],
        "ejection": {"consecutive_failures": 3, "base_ms": 5000, "max_ms": 300_000},
        "cordoned": false,
    })
    .to_string()
}

/// A controller that keeps its own account of what the router should have.
#[derive(Default)]
struct Controller {
    stated: BTreeMap<Key, Option<Digest>>,
    credentials: usize,
    out: Vec<Frame>,
}

impl Controller {
    fn hello(cluster: &str) -> Self {
        let hello = Hello {
            protocol: 1,
            controller: "c".into(),
            cluster: cluster.into(),
            features: Vec::new(),
            heartbeat_millis: 5_000,
            routers: 1,
        };
        Self { out: vec![Frame::Hello(hello)], ..Self::default() }
    }

    /// A connection to the same store that knows what was sent before.
    fn again(&self, cluster: &str) -> Self {
        Self { stated: self.stated.clone(), credentials: self.credentials, ..Self::hello(cluster) }
    }

    fn upsert(mut self, kind: Kind, name: &str, version: u64, json: &str) -> Self {
        let digest = Digest::of(json.as_bytes());
        self.stated.insert(Key::new(kind.clone(), id(name)), Some(digest));
        let resource = Some(RawValue::from_string(json.to_owned()).unwrap());
        let requires = Vec::new();
        let upsert = Upsert { kind, id: id(name), version, digest, requires, resource };
        self.out.push(Frame::Upsert(upsert));
        self
    }

    fn alias(self, name: &str, version: u64, model: &str) -> Self {
        self.upsert(Kind::Alias, name, version, &alias_json(name, model))
    }

    fn target(self, name: &str, version: u64) -> Self {
        self.upsert(Kind::Target, name, version, &target_json(name))
    }

    fn confirm(mut self, name: &str, version: u64, model: &str) -> Self {
        self = self.alias(name, version, model);
        if let Some(Frame::Upsert(upsert)) = self.out.last_mut() {
            upsert.resource = None;
        }
        self
    }

    fn hold(mut self, name: &str, version: u64, reason: &str) -> Self {
        self.stated.insert(Key::alias(&id(name)), None);
        let (reason, message) = (reason.to_owned(), "mend it".to_owned());
        let hold = Hold { kind: Kind::Alias, id: id(name), version, reason, message };
        self.out.push(Frame::Hold(hold));
        self
    }

    fn remove(mut self, kind: Kind, name: &str, version: u64, cause: Cause) -> Self {
        self.stated.remove(&Key::new(kind.clone(), id(name)));
        self.out.push(Frame::Remove(Remove { kind, id: id(name), version, cause }));
        self
    }

    fn key(mut self, target: &str, version: u64, key: Option<&str>) -> Self {
        self.credentials = usize::from(key.is_some());
        let hash = Digest::of(key.unwrap_or_default().as_bytes());
        let credential = key.map(|key| Credential::new(version, hash, key.into()));
        let frame = CredentialFrame { target: id(target), version, credential };
        self.out.push(Frame::Credential(frame));
        self
    }

    /// Sends what is there and a COMMIT.
    fn send(&mut self, store: &mut Store, now: Nanos) -> Result<Effects, Void> {
        for frame in self.out.drain(..) {
            store.step(frame, now)?;
        }
        let of = |kind: Kind| self.stated.keys().filter(|key| key.kind == kind).count();
        let counts = Counts {
            aliases: of(Kind::Alias),
            targets: of(Kind::Target),
            credentials: self.credentials,
        };
        let all = self.stated.iter().map(|(key, d)| (key.kind.name(), &key.id, *d));
        store.step(Frame::Commit(Commit { revision: revision(all), counts }), now)
    }
}

fn alias<'a>(store: &'a Store, name: &str) -> Option<&'a CompiledAlias> {
    store.snapshot().aliases.get(&id(name))?.value()
}

fn model<'a>(store: &'a Store, name: &str) -> &'a str {
    alias(store, name).map_or("none", |a| &a.model)
}

fn applied(effects: Effects) -> Applied {
    effects.applied.expect("a change")
}

/// A store with target `t`, its key, and aliases.
fn filled(aliases: &[(&str, u64)]) -> (Store, Controller) {
    let mut store = Store::default();
    store.connect();
    let mut controller = Controller::hello("one").target("t", 5).key("t", 6, Some("sk-canary"));
    for (name, version) in aliases {
        controller = controller.alias(name, *version, "first");
    }
    controller.send(&mut store, T0).unwrap();
    (store, controller)
}

fn reconnect(store: &mut Store, controller: &Controller, cluster: &str) -> Controller {
    store.disconnect();
    store.connect();
    controller.again(cluster)
}

#[test]
fn nothing_takes_effect_before_its_commit() {
    let mut store = Store::default();
    let held = store.connect();
    assert!(held.resources.is_empty() && held.cluster.is_empty());
    let mut controller = Controller::hello("one").target("t", 5).alias("a", 7, "first");
    for frame in controller.out.drain(..) {
        assert!(store.step(frame, T0).unwrap().applied.is_none());
    }
    assert!(alias(&store, "a").is_none() && !store.is_applied());
    let first = applied(controller.send(&mut store, T0).unwrap());
    assert_eq!((first.changed.aliases, first.changed.targets), (1, 1));
    assert_eq!(first.snapshot.revision, first.snapshot.content_revision());

    // A cut throws away what came since.
    controller = controller.alias("a", 8, "second");
    store.step(controller.out.remove(0), T0).unwrap();
    store.disconnect();
    let held = store.connect();
    assert_eq!(held.resources.len(), 2);
    assert_eq!(held.cluster, "one");
    assert_eq!(model(&store, "a"), "first");
}

#[test]
fn an_empty_world_is_a_snapshot() {
    let mut store = Store::default();
    store.connect();
    let effects = Controller::hello("one").send(&mut store, T0).unwrap();
    assert!(effects.applied.is_some() && store.is_applied());
}

#[test]
fn nothing_passes_that_does_not_add_up() {
    let (mut store, _) = filled(&[("a", 7)]);
    let counts = Counts { aliases: 1, targets: 1, credentials: 1 };
    let wrong = Commit { revision: Digest::of(b"else"), counts };
    let revision = store.snapshot().revision;
    assert!(matches!(store.step(Frame::Commit(wrong), T0), Err(Void::Revision { .. })));
    store.connect();
    assert!(matches!(
        store.step(Frame::Heartbeat(wire::Heartbeat::default()), T0),
        Err(Void::NoHello(_))
    ));
    store.connect();
    store.step(Controller::hello("one").out.remove(0), T0).unwrap();
    let counts = Counts { credentials: 0, ..counts };
    let wrong = Commit { revision, counts };
    assert!(matches!(store.step(Frame::Commit(wrong), T0), Err(Void::Counts { .. })));
    store.connect();
    let Frame::Hello(hello) = Controller::hello("one").out.remove(0) else { panic!() };
    let newer = Frame::Hello(Hello { protocol: 2, ..hello });
    assert!(matches!(store.step(newer, T0), Err(Void::Protocol(2))));
}

#[test]
fn one_poison_resource_keeps_its_last_good_form_alone() {
    let (mut store, controller) = filled(&[("a", 7), ("b", 7)]);
    let broken = alias_json("a", "second").replace("[0]", "[7]");
    let mut controller =
        controller.upsert(Kind::Alias, "a", 8, &broken).alias("b", 8, "second").alias("c", 8, "x");
    let blank = alias_json("d", "");
    controller = controller.upsert(Kind::Alias, "d", 8, &blank);
    let effects = controller.send(&mut store, T0).unwrap();
    assert_eq!(effects.rejected, 2);
    assert_eq!(model(&store, "a"), "first");
    assert_eq!(model(&store, "b"), "second");
    assert_eq!(model(&store, "c"), "x");
    let shown = serde_json::to_value(store.config(T0)).unwrap();
    assert_eq!(shown["rejections"][0]["id"], "shop/a");
    assert_eq!(shown["rejections"][0]["reason"], "Invalid");
    assert!(shown["rejections"][0]["message"].as_str().unwrap().contains("no candidate 7"));
    // One that has no last good form says why it is not served.
    assert_eq!(shown["aliases"][3]["id"], "shop/d");
    assert_eq!(shown["aliases"][3]["hold"]["reason"], "Invalid");

    controller.alias("a", 9, "third").send(&mut store, T0).unwrap();
    assert_eq!(model(&store, "a"), "third");
    assert_eq!(store.rejections.len(), 1);
}

#[test]
fn bytes_that_are_not_those_of_the_digest_are_rejected() {
    let (mut store, mut controller) = filled(&[("a", 7)]);
    controller = controller.alias("a", 8, "second");
    if let Some(Frame::Upsert(upsert)) = controller.out.last_mut() {
        upsert.resource = Some(RawValue::from_string(alias_json("a", "third")).unwrap());
    }
    assert_eq!(controller.send(&mut store, T0).unwrap().rejected, 1);
    assert_eq!(model(&store, "a"), "first");
}

#[test]
fn a_frame_that_cannot_be_read_or_lacks_a_feature_concerns_its_resource_alone() {
    let (mut store, mut controller) = filled(&[("a", 7)]);
    controller = controller.alias("b", 8, "second").alias("c", 8, "second");
    if let Some(Frame::Upsert(upsert)) = controller.out.last_mut() {
        upsert.requires.push("telepathy".into());
    }
    let message = "no".to_owned();
    let (version, digest) = (None, None);
    let unreadable = Unreadable { key: Key::alias(&id("a")), version, digest, message };
    controller.out.push(Frame::Unreadable(unreadable));
    assert_eq!(controller.send(&mut store, T0).unwrap().rejected, 2);
    assert_eq!((model(&store, "a"), model(&store, "b")), ("first", "second"));
    assert!(alias(&store, "c").is_none());
    // Its version was not readable, so nothing is refused for it.
    let effects = controller.alias("a", 8, "mended").send(&mut store, T0).unwrap();
    assert_eq!((effects.refused, model(&store, "a")), (0, "mended"));
}

#[test]
fn a_hold_keeps_what_is_there_and_stands_for_what_is_not() {
    let (mut store, controller) = filled(&[("a", 7)]);
    let mut controller = controller.hold("a", 8, "AliasCycle").hold("new", 8, "InvalidSpec");
    let effects = applied(controller.send(&mut store, T0).unwrap());
    assert!(effects.changed.holds);
    assert_eq!((model(&store, "a"), model(&store, "new")), ("first", "none"));
    assert_eq!(store.held_resources(), 2);
    assert!(store.snapshot().aliases.contains_key(&id("new")));
    let shown = serde_json::to_value(store.config(T0)).unwrap();
    assert_eq!(shown["aliases"][0]["hold"]["reason"], "AliasCycle");
    assert_eq!(shown["aliases"][0]["value"]["model"], "first");

    // The present form is the one that is held: the hold ends without its bytes.
    let mut controller = controller.confirm("a", 9, "first");
    controller.send(&mut store, T0).unwrap();
    assert_eq!(store.held_resources(), 1);
    // A form that is not held cannot be confirmed.
    let result = controller.confirm("a", 10, "unheard").send(&mut store, T0);
    assert!(matches!(result, Err(Void::NotHeld(_))));
    assert_eq!(model(&store, "a"), "first");
}

#[test]
fn a_version_alone_changes_nothing_but_the_version() {
    let (mut store, controller) = filled(&[("a", 7)]);
    let mut controller = controller.confirm("a", 20, "first");
    let effects = controller.send(&mut store, T0).unwrap();
    assert!(effects.committed && effects.applied.is_none());
    let effects = controller.alias("a", 19, "older").send(&mut store, T0).unwrap();
    assert_eq!((effects.refused, model(&store, "a")), (1, "first"));
}

#[test]
fn older_is_refused_equal_is_fine() {
    let (mut store, controller) = filled(&[("a", 7)]);
    let mut late = reconnect(&mut store, &controller, "one").alias("a", 6, "older");
    let effects = late.send(&mut store, secs(1)).unwrap();
    assert_eq!((effects.refused, model(&store, "a")), (1, "first"));
    let shown = serde_json::to_value(store.config(secs(1))).unwrap();
    assert_eq!(shown["refused"][0]["id"], "shop/a");
    late.alias("a", 7, "equal").send(&mut store, secs(2)).unwrap();
    assert_eq!(model(&store, "a"), "equal");

    // Neither can it take away, nor bring back what was deleted.
    let late = reconnect(&mut store, &controller, "one");
    let mut late = late.remove(Kind::Alias, "a", 6, Cause::Deleted);
    assert_eq!(late.send(&mut store, secs(3)).unwrap().refused, 1);
    assert_eq!(model(&store, "a"), "equal");
    let late = reconnect(&mut store, &controller, "one");
    let mut late = late.remove(Kind::Alias, "a", 9, Cause::Deleted);
    late.send(&mut store, secs(4)).unwrap();
    let mut late = late.alias("a", 8, "zombie");
    assert_eq!(late.send(&mut store, secs(5)).unwrap().refused, 1);
    assert_eq!(model(&store, "a"), "none");
    late.alias("a", 10, "again").send(&mut store, secs(6)).unwrap();
    assert_eq!(model(&store, "a"), "again");
}

#[test]
fn a_tombstone_ends_after_ten_minutes() {
    let (mut store, controller) = filled(&[("a", 7)]);
    let mut controller = controller.remove(Kind::Alias, "a", 9, Cause::Deleted);
    controller.send(&mut store, T0).unwrap();
    controller.alias("a", 8, "old").send(&mut store, secs(600)).unwrap();
    assert_eq!(model(&store, "a"), "old");
}

#[test]
fn refusals_alone_for_a_minute_end() {
    let (mut store, controller) = filled(&[("a", 7)]);
    let mut restored = reconnect(&mut store, &controller, "one").alias("a", 3, "restored");
    restored.send(&mut store, secs(10)).unwrap();
    assert_eq!(store.ask_again_at(), Some(secs(70)));
    let mut restored = reconnect(&mut store, &controller, "one").alias("a", 3, "restored");
    assert_eq!(store.ask_again_at(), None, "not before it said what it has");
    assert_eq!(restored.send(&mut store, secs(69)).unwrap().refused, 1);
    assert_eq!(store.ask_again_at(), Some(secs(70)));
    let mut restored = reconnect(&mut store, &controller, "one").alias("a", 3, "restored");
    assert_eq!(restored.send(&mut store, secs(70)).unwrap().refused, 0);
    assert_eq!(model(&store, "a"), "restored");
    assert_eq!(store.ask_again_at(), None);

    // A controller that lagged and caught up is no reason to go back later.
    let mut late = reconnect(&mut store, &controller, "one").alias("a", 2, "late");
    late.send(&mut store, secs(80)).unwrap();
    late.alias("a", 4, "caught up").send(&mut store, secs(81)).unwrap();
    assert_eq!((store.ask_again_at(), model(&store, "a")), (None, "caught up"));
}

#[test]
fn versions_of_another_cluster_do_not_compare() {
    let (mut store, controller) = filled(&[("a", 700)]);
    let other = reconnect(&mut store, &controller, "two").alias("a", 3, "other");
    let mut other = other.key("t", 2, Some("sk-canary-2"));
    assert_eq!(other.send(&mut store, T0).unwrap().refused, 0);
    assert_eq!(model(&store, "a"), "other");
}

#[test]
fn absences_of_most_aliases_wait_for_a_second_list() {
    let names: Vec<String> = (0..20).map(|n| format!("a{n}")).collect();
    let aliases: Vec<(&str, u64)> = names.iter().map(|n| (n.as_str(), 7)).collect();
    let (mut store, full) = filled(&aliases);
    let shrunk = |store: &mut Store, version: u64| {
        let mut c = reconnect(store, &full, "one");
        for name in &names[..11] {
            c = c.remove(Kind::Alias, name, version, Cause::Absent);
        }
        let c = c.remove(Kind::Target, "t", version, Cause::Absent).key_gone();
        c.alias("a19", 101, "second")
    };
    // What else came takes effect.
    let mut first = shrunk(&mut store, 100);
    first.send(&mut store, T0).unwrap();
    assert_eq!(store.snapshot().aliases.len(), 20);
    assert_eq!(store.snapshot().targets.len(), 1, "an alias that stays keeps its target");
    assert_eq!(store.credentials.len(), 1);
    assert_eq!(model(&store, "a19"), "second");
    let shown = serde_json::to_value(store.config(secs(5))).unwrap();
    assert_eq!(shown["heldCommit"]["absent"].as_array().unwrap().len(), 12);
    assert_eq!(store.ask_again_at(), Some(secs(60)));

    // The same list again, or another one too soon, is no second opinion.
    shrunk(&mut store, 100).send(&mut store, secs(61)).unwrap();
    assert_eq!(store.snapshot().aliases.len(), 20);
    assert_eq!(store.ask_again_at(), Some(secs(121)));
    shrunk(&mut store, 102).send(&mut store, secs(121)).unwrap();
    assert_eq!(store.snapshot().aliases.len(), 9);
    assert_eq!(store.snapshot().targets.len(), 0);
    assert!(store.credentials.is_empty());
    assert!(store.shrink.is_none());
}

#[test]
fn another_list_too_soon_is_no_second_opinion() {
    let names: Vec<String> = (0..11).map(|n| format!("a{n}")).collect();
    let aliases: Vec<(&str, u64)> = names.iter().map(|n| (n.as_str(), 7)).collect();
    let (mut store, full) = filled(&aliases);
    let mut one = reconnect(&mut store, &full, "one");
    for (version, at, left) in [(100, 0, 11), (101, 30, 11), (101, 70, 11), (102, 71, 0)] {
        for name in &names {
            one = one.remove(Kind::Alias, name, version, Cause::Absent);
        }
        one.send(&mut store, secs(at)).unwrap();
        assert_eq!(store.snapshot().aliases.len(), left, "at {at} s");
    }
}

#[test]
fn deletions_and_few_absences_pass() {
    let names: Vec<String> = (0..20).map(|n| format!("a{n}")).collect();
    let aliases: Vec<(&str, u64)> = names.iter().map(|n| (n.as_str(), 7)).collect();
    let (mut store, mut controller) = filled(&aliases);
    for name in &names[..10] {
        controller = controller.remove(Kind::Alias, name, 9, Cause::Absent);
    }
    controller.send(&mut store, T0).unwrap();
    assert_eq!(store.snapshot().aliases.len(), 10);
    for name in &names[10..] {
        controller = controller.remove(Kind::Alias, name, 10, Cause::Deleted);
    }
    controller.send(&mut store, T0).unwrap();
    assert!(store.snapshot().aliases.is_empty());
}

#[test]
fn absences_are_forgotten_when_they_are_back() {
    let names: Vec<String> = (0..12).map(|n| format!("a{n}")).collect();
    let aliases: Vec<(&str, u64)> = names.iter().map(|n| (n.as_str(), 7)).collect();
    let (mut store, full) = filled(&aliases);
    let mut gone = reconnect(&mut store, &full, "one");
    for name in &names {
        gone = gone.remove(Kind::Alias, name, 100, Cause::Absent);
    }
    gone.send(&mut store, T0).unwrap();
    assert!(store.shrink.is_some());
    reconnect(&mut store, &full, "one").send(&mut store, secs(1)).unwrap();
    assert!(store.shrink.is_none());
    assert_eq!(store.snapshot().aliases.len(), 12);
}

#[test]
fn credentials_come_go_and_are_never_shown() {
    let (mut store, controller) = filled(&[("a", 7)]);
    let shown = serde_json::to_string(&store.config(T0)).unwrap();
    assert!(!shown.contains("canary") && !format!("{store:?}").contains("canary"));
    assert!(shown.contains(&Digest::of(b"sk-canary").to_string()));

    let mut controller = controller.key("t", 8, Some("sk-2"));
    let rotated = applied(controller.send(&mut store, T0).unwrap());
    assert_eq!((rotated.changed.credentials, rotated.changed.targets), (1, 0));
    // A controller that lags can neither bring back the old one nor revoke the new one.
    let mut late = reconnect(&mut store, &controller, "one").key("t", 6, None);
    assert_eq!(late.send(&mut store, T0).unwrap().refused, 1);
    assert_eq!(store.credentials.len(), 1);
    let mut controller = reconnect(&mut store, &controller, "one").key("t", 9, None);
    controller.send(&mut store, T0).unwrap();
    assert!(store.credentials.is_empty());
    let mut late = reconnect(&mut store, &controller, "one").key("t", 8, Some("sk-2"));
    assert_eq!(late.send(&mut store, T0).unwrap().refused, 1);
    assert!(store.credentials.is_empty());
}

#[test]
fn a_check_names_what_is_not_held() {
    let (mut store, controller) = filled(&[("a", 7), ("b", 7)]);
    let blank = alias_json("b", "");
    controller.upsert(Kind::Alias, "b", 8, &blank).send(&mut store, T0).unwrap();
    let ask = |kind: Kind, name: &str, text: &str| super::Asked {
        kind,
        id: id(name),
        digest: Digest::of(text.as_bytes()),
    };
    let asked = [
        ask(Kind::Alias, "a", &alias_json("a", "first")),
        ask(Kind::Alias, "b", &blank),
        ask(Kind::Target, "t", &target_json("t")),
        ask(Kind::Credential, "t", "sk-canary"),
        ask(Kind::Credential, "t", "sk-other"),
    ];
    let verdict = serde_json::to_value(store.check(&asked)).unwrap();
    let missing =
        json!([{"kind": "Alias", "id": "shop/b"}, {"kind": "Credential", "id": "shop/t"}]);
    assert_eq!(verdict["missing"], missing);
    assert_eq!(verdict["rejections"][0]["id"], "shop/b");
}

impl Controller {
    /// A target's credential goes with it, without a frame.
    fn key_gone(mut self) -> Self {
        self.credentials = 0;
        self
    }
}
