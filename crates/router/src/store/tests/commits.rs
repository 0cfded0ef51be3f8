//! COMMITs: whole or not at all, and each bad resource by itself.

use routing::Digest;
use serde_json::{json, value::RawValue};
use wire::{Commit, Counts, Frame, Hello, Key, Kind, Unreadable};

use super::rig::{Controller, T0, alias, alias_json, applied, filled, id, model, target_json};
use crate::store::{Asked, Store, Void};

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
    let counts = Counts { aliases: 1, targets: 1, credentials: 1, ..Counts::default() };
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
fn a_check_names_what_is_not_held() {
    let (mut store, controller) = filled(&[("a", 7), ("b", 7)]);
    let blank = alias_json("b", "");
    controller.upsert(Kind::Alias, "b", 8, &blank).send(&mut store, T0).unwrap();
    let ask = |kind: Kind, name: &str, text: &str| Asked {
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
