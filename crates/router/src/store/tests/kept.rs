//! What is written down is what is served after a restart, and what was harmed is not used.

use std::{fs, path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;
use routing::material::Material;
use telemetry::Metrics;
use wire::{Cause, Kind};

use super::rig::{Controller, T0, alias, filled, id, model, reconnect, target_json};
use crate::{
    kept::{Beginning, Dirs, Keeper, Saved, credentials, snapshot},
    store::Store,
};

/// A directory in memory.
fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn keep(state: &Path, memory: &Path, saved: &Saved) {
    snapshot::write(state, saved).unwrap();
    credentials::write(memory, saved, None).unwrap();
}

fn read(state: &Path, memory: &Path) -> Option<Beginning> {
    let dirs = Dirs { state: Some(state.to_owned()), credentials: Some(memory.to_owned()) };
    let store = Arc::new(Mutex::new(Store::default()));
    Keeper::new(dirs, store, Arc::new(Metrics::new())).unwrap().read()
}

/// Everything below a directory, as text.
fn all(dir: &Path) -> String {
    let files = fs::read_dir(dir.join("moniker")).unwrap();
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn a_store_begins_with_what_it_had_and_is_told_the_difference_alone() {
    let (mut store, mut controller) = filled(&[("a", 7), ("b", 7)]);
    controller = reconnect(&mut store, &controller, "one").hold("b", 9, "InvalidSpec");
    controller.send(&mut store, T0).unwrap();
    let (state, memory) = (tempfile::tempdir().unwrap(), memory());
    keep(state.path(), memory.path(), &store.saved());
    assert!(!all(state.path()).contains("sk-canary"), "a key on a disk");
    assert!(all(memory.path()).contains("sk-canary"));

    let mut again = Store::default();
    let applied = again.restore(read(state.path(), memory.path()).unwrap());
    assert_eq!(applied.snapshot, store.saved().snapshot);
    assert_eq!(model(&again, "b"), "first", "the last good form");
    assert_eq!(applied.credentials[&id("t")].material(), &Material::from("sk-canary"));
    assert!(!again.is_applied(), "no controller has said so");
    store.disconnect();
    assert_eq!(again.connect(), store.connect(), "it holds the same");
    // A controller has nothing to add, or only what is new.
    let mut controller = controller.again("one").alias("a", 10, "second");
    controller.send(&mut again, T0).unwrap();
    assert_eq!(model(&again, "a"), "second");
}

#[test]
fn the_newest_generation_that_can_be_used_counts() {
    let (mut store, mut controller) = filled(&[("a", 7)]);
    let (state, memory) = (tempfile::tempdir().unwrap(), memory());
    for version in 8..14 {
        controller = reconnect(&mut store, &controller, "one");
        controller = controller.alias("a", version, &format!("v{version}"));
        controller.send(&mut store, T0).unwrap();
        keep(state.path(), memory.path(), &store.saved());
    }
    let dir = state.path().join("moniker");
    let path = |generation: u32| dir.join(format!("snapshot.{generation}"));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 3);
    let begins = || {
        let mut again = Store::default();
        again.restore(read(state.path(), memory.path())?);
        Some(model(&again, "a").to_owned())
    };
    assert_eq!(begins().unwrap(), "v13");
    let good = fs::read(path(6)).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let half = good.len() / 2;
    for bad in [
        good[..half].to_vec(),
        vec![0; good.len()],
        Vec::new(),
        text.replacen("v13", "v14", 1).into_bytes(),
        text.replacen("snapshot 1", "snapshot 2", 1).into_bytes(),
    ] {
        fs::write(path(6), bad).unwrap();
        assert_eq!(begins().unwrap(), "v12");
    }
    // Two that changed places are both whole, and the newer name counts: versions sort it out.
    fs::write(path(6), fs::read(path(4)).unwrap()).unwrap();
    assert_eq!(begins().unwrap(), "v11");
    for generation in 4..7 {
        fs::write(path(generation), "nothing").unwrap();
    }
    assert_eq!(begins(), None);
}

#[test]
fn a_credential_goes_where_it_was_meant_to_go_or_nowhere() {
    let (mut store, mut controller) = filled(&[("a", 7)]);
    let (state, memory) = (tempfile::tempdir().unwrap(), memory());
    let before = store.saved();
    let elsewhere = target_json("t").replace("127.0.0.1:1", "127.0.0.1:2");
    controller = reconnect(&mut store, &controller, "one");
    controller = controller.upsert(wire::Kind::Target, "t", 8, &elsewhere);
    controller = controller.key("t", 8, Some("sk-for-elsewhere"));
    controller.send(&mut store, T0).unwrap();
    // The snapshot of the one moment, the credentials of the other.
    snapshot::write(state.path(), &before).unwrap();
    credentials::write(memory.path(), &store.saved(), None).unwrap();
    let beginning = read(state.path(), memory.path()).unwrap();
    assert!(beginning.credentials.is_empty());
    snapshot::write(state.path(), &store.saved()).unwrap();
    assert_eq!(read(state.path(), memory.path()).unwrap().credentials.len(), 1);
}

#[test]
fn what_was_revoked_does_not_stay_because_the_disk_is_full() {
    let (mut store, mut controller) = filled(&[("a", 7)]);
    let memory = memory();
    let before = store.saved();
    credentials::write(memory.path(), &before, None).unwrap();
    // Something in the way of the next write.
    let dir = memory.path().join("moniker");
    fs::create_dir(dir.join("credentials.part")).unwrap();
    assert!(credentials::write(memory.path(), &before, Some(&before)).is_err());
    assert!(dir.join("credentials").exists(), "nothing was revoked");
    controller = reconnect(&mut store, &controller, "one").key("t", 9, None);
    controller.send(&mut store, T0).unwrap();
    assert!(credentials::write(memory.path(), &store.saved(), Some(&before)).is_err());
    assert!(!dir.join("credentials").exists(), "a revoked key stays");
    assert!(alias(&store, "a").is_some());
}

#[test]
fn credentials_are_kept_in_memory_or_not_at_all() {
    let disk = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let dirs = Dirs { state: None, credentials: Some(disk.path().to_owned()) };
    let store = Arc::new(Mutex::new(Store::default()));
    let refused = Keeper::new(dirs, store, Arc::new(Metrics::new())).unwrap_err();
    assert!(refused.to_string().contains("tmpfs"), "{refused}");
}

#[test]
fn what_was_deleted_is_not_brought_back_after_a_restart() {
    let (mut store, controller) = filled(&[("a", 7), ("b", 7)]);
    let controller = reconnect(&mut store, &controller, "one");
    let mut controller = controller.remove(Kind::Alias, "b", 9, Cause::Deleted).key("t", 9, None);
    controller.send(&mut store, T0).unwrap();
    let (state, memory) = (tempfile::tempdir().unwrap(), memory());
    keep(state.path(), memory.path(), &store.saved());
    let begins = |age: Duration| {
        let mut again = Store::default();
        let mut beginning = read(state.path(), memory.path()).unwrap();
        beginning.age = age;
        again.restore(beginning);
        again.connect();
        // A replica that has not heard of the deletion.
        let mut late = controller.again("one").alias("b", 8, "zombie").key("t", 8, Some("revoked"));
        (late.send(&mut again, T0).unwrap().refused, model(&again, "b").to_owned())
    };
    assert_eq!(begins(Duration::from_secs(599)), (2, "none".to_owned()));
    assert_eq!(begins(Duration::from_secs(600)), (0, "zombie".to_owned()), "not for ever");
}

#[test]
fn an_empty_controller_is_one_to_begin_with_too() {
    let mut store = Store::default();
    store.connect();
    Controller::hello("one").send(&mut store, T0).unwrap();
    let (state, memory) = (tempfile::tempdir().unwrap(), memory());
    keep(state.path(), memory.path(), &store.saved());
    let mut again = Store::default();
    let applied = again.restore(read(state.path(), memory.path()).unwrap());
    assert!(applied.snapshot.aliases.is_empty());
    assert_eq!(again.restored().load(std::sync::atomic::Ordering::Relaxed), 1);
}
