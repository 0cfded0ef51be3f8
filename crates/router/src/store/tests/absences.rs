//! Absences of much, which may be a mistake.

use wire::{Cause, Kind};

use super::rig::{T0, filled, model, reconnect, secs};
use crate::store::Store;

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
