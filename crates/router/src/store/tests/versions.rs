//! Versions: what is older than what is held, or than its deletion.

use routing::Digest;
use wire::{Cause, Kind};

use super::rig::{T0, applied, filled, model, reconnect, secs};

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
fn a_revoked_key_stays_revoked_whoever_lags() {
    let (mut store, controller) = filled(&[]);
    let mut controller = controller.caller("k", 7).hashes("k", 8, &["mk-1"]);
    let first = applied(controller.send(&mut store, T0).unwrap());
    assert_eq!((first.changed.keys, first.hashes.len(), first.snapshot.keys.len()), (2, 1, 1));
    let mut rotating = reconnect(&mut store, &controller, "one").hashes("k", 9, &["mk-2", "mk-1"]);
    let both = applied(rotating.send(&mut store, T0).unwrap());
    assert_eq!(both.hashes.values().next().unwrap().hashes.len(), 2);

    // The Secret goes; a replica that has not seen it brings nothing back, neither does one that
    // lags behind the object's deletion.
    let mut revoked = reconnect(&mut store, &rotating, "one").hashes("k", 10, &[]);
    assert!(applied(revoked.send(&mut store, secs(1)).unwrap()).hashes.is_empty());
    let mut late = reconnect(&mut store, &revoked, "one").hashes("k", 9, &["mk-2", "mk-1"]);
    assert_eq!(late.send(&mut store, secs(2)).unwrap().refused, 1);
    assert!(store.hashes.is_empty());
    let mut again = reconnect(&mut store, &revoked, "one").hashes("k", 11, &["mk-3"]);
    assert_eq!(again.send(&mut store, secs(3)).unwrap().refused, 0);
    let gone = reconnect(&mut store, &again, "one").remove(Kind::Key, "k", 12, Cause::Deleted);
    let gone = applied(gone.hashes_gone().send(&mut store, secs(4)).unwrap());
    assert!(gone.hashes.is_empty() && gone.snapshot.keys.is_empty());
    let late = reconnect(&mut store, &revoked, "one").caller("k", 7).hashes("k", 11, &["mk-3"]);
    let mut late = late;
    assert_eq!(late.send(&mut store, secs(5)).unwrap().refused, 1);
    assert!(store.hashes.is_empty() && store.snapshot().keys.is_empty());
    assert!(!format!("{store:?}").contains("mk-"));
}
