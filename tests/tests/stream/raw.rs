//! What is on the wire: HELLO first, and then the difference alone.

use compiler::CredentialState;
use wire::{Cause, Frame, Held, HeldResource, Kind};

use crate::rig::{Controller, Reader, World, id, names};

/// What a router holds that took in these frames.
fn held_after(frames: &[Frame]) -> Held {
    let mut held = Held { cluster: "one".to_owned(), ..Held::default() };
    for frame in frames {
        if let Frame::Upsert(upsert) = frame {
            held.resources.push(HeldResource {
                kind: upsert.kind.clone(),
                id: upsert.id.clone(),
                version: upsert.version,
                digest: Some(upsert.digest),
                hold: None,
            });
        }
    }
    held
}

#[tokio::test]
async fn a_router_that_comes_back_gets_the_difference_alone() {
    let mut world = World::of(100);
    let controller = Controller::with(&world).await;
    let (frames, revision) = Reader::ask(&controller, &Held::default()).await.batch().await;
    assert_eq!(names(&frames)[0], "HELLO");
    assert_eq!(frames.len(), 1 + 1 + 100);
    assert_eq!(revision, world.revision());
    let held = held_after(&frames);

    // Nothing changed; so it is for another replica of the same world.
    let (frames, again) = Reader::ask(&controller, &held).await.batch().await;
    assert_eq!((names(&frames), again), (vec!["HELLO"], revision));
    let replica = Controller::with(&world).await;
    let (frames, again) = Reader::ask(&replica, &held).await.batch().await;
    assert_eq!((names(&frames), again), (vec!["HELLO"], revision));

    // One of each kind of change.
    world.alias("a0001", 8, "second");
    world.alias("a0002", 9, "first");
    world.hold("a0003", 10);
    world.delete("a0004", 11);
    world.aliases.remove("a0005");
    world.alias("new", 12, "first");
    let controller = Controller::with(&world).await;
    let (frames, revision) = Reader::ask(&controller, &held).await.batch().await;
    assert_eq!(revision, world.revision());
    let [_, changed, version_alone, hold, deleted, absent, new] = &frames[..] else {
        panic!("{frames:?}")
    };
    let bytes = |frame: &Frame| matches!(frame, Frame::Upsert(u) if u.resource.is_some());
    assert!(bytes(changed) && !bytes(version_alone) && bytes(new));
    assert!(matches!(hold, Frame::Hold(h) if h.version == 10 && h.reason == "InvalidSpec"));
    let removed = |frame: &Frame, name: &str, version: u64, cause: Cause| {
        matches!(frame, Frame::Remove(r)
            if r.kind == Kind::Alias && r.id == id(name) && r.version == version && r.cause == cause)
    };
    assert!(removed(deleted, "a0004", 11, Cause::Deleted));
    assert!(removed(absent, "a0005", 1000, Cause::Absent));
}

#[tokio::test]
async fn what_is_unknown_is_not_spoken_of() {
    let world = World::of(3);
    let controller = Controller::with(&world).await;
    let (frames, revision) = Reader::ask(&controller, &Held::default()).await.batch().await;
    let held = held_after(&frames);

    let blind = World { known: None, ..World::default() };
    let controller = Controller::with(&blind).await;
    let (frames, same) = Reader::ask(&controller, &held).await.batch().await;
    assert_eq!((names(&frames), same), (vec!["HELLO"], revision));
}

#[tokio::test]
async fn credentials_travel_in_frames_of_their_own() {
    let mut world = World::of(1);
    let controller = Controller::with(&world).await;
    let mut reader = Reader::ask(&controller, &Held::default()).await;
    reader.batch().await;
    // What says nothing of a credential sends nothing; an unusable one changes nothing yet.
    world.credentials.insert(id("t"), CredentialState::Invalid { version: 8 });
    world.credentials.insert(id("elsewhere"), CredentialState::Absent);
    controller.publish(&world);
    world.alias("a0000", 9, "second");
    controller.publish(&world);
    let (frames, _) = reader.batch().await;
    assert_eq!(names(&frames), ["UPSERT"]);
}

#[tokio::test]
async fn a_loser_of_a_conflict_is_withdrawn() {
    let mut world = World::of(2);
    let controller = Controller::with(&world).await;
    let mut reader = Reader::ask(&controller, &Held::default()).await;
    reader.batch().await;
    // It is in no list that it is missing from: the compiler left it out.
    world.aliases.remove("a0001");
    controller.publish(&world);
    let (frames, revision) = reader.batch().await;
    let [Frame::Remove(remove)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((remove.cause, remove.version), (Cause::Deleted, 7));
    assert_eq!(revision, world.revision());
}

#[tokio::test]
async fn heartbeats_say_how_many_there_are() {
    let controller = Controller::with(&World::of(0)).await;
    let mut one = Reader::ask(&controller, &Held::default()).await;
    let _two = Reader::ask(&controller, &Held::default()).await;
    let Some(Frame::Hello(hello)) = one.frame().await else { panic!("no HELLO") };
    assert_eq!((hello.protocol, hello.cluster.as_str(), hello.routers), (1, "one", 1));
    // The first may come before the other one did.
    while !matches!(
        one.frame().await, Some(Frame::Heartbeat(heartbeat)) if heartbeat.routers == Some(2)
    ) {}
}
