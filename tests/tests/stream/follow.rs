//! A router that follows a controller through what happens to both.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use wire::{Frame, Held};

use crate::rig::{Controller, Reader, Router, World, id};

#[tokio::test]
async fn a_snapshot_arrives_and_edits_follow() {
    let mut world = World::of(3);
    let controller = Controller::with(&world).await;
    let mut router = Router::start(controller.address, 1);
    router.serves(world.revision()).await;
    assert_eq!(router.model("a0001").as_deref(), Some("first"));
    router.counts("moniker_snapshot_aliases 3").await;

    world.alias("a0001", 8, "second");
    world.delete("a0002", 9);
    controller.publish(&world);
    assert_eq!(router.serves(world.revision()).await, 2, "one swap");
    let changed = router.last.lock().as_ref().unwrap().changed;
    assert_eq!((changed.aliases, changed.targets), (2, 0));
    assert_eq!(router.model("a0001").as_deref(), Some("second"));
    assert_eq!(router.model("a0002"), None);
    assert_eq!(router.config()["revision"], world.revision().to_string());
}

#[tokio::test]
async fn a_hold_before_anything_says_why_and_one_after_keeps_the_last_good_form() {
    let mut world = World::of(1);
    world.hold("new", 8);
    let controller = Controller::with(&world).await;
    let mut router = Router::start(controller.address, 1);
    router.serves(world.revision()).await;
    world.hold("a0000", 9);
    controller.publish(&world);
    router.serves(world.revision()).await;
    assert_eq!(router.model("a0000").as_deref(), Some("first"));
    assert_eq!(router.model("new"), None);
    let config = router.config();
    assert_eq!(config["aliases"][1]["id"], "shop/new");
    assert_eq!(config["aliases"][1]["hold"]["message"], "mend it");
}

#[tokio::test]
async fn a_poison_alias_among_many_is_rejected_alone() {
    let mut world = World::of(200);
    let controller = Controller::with(&world).await;
    let mut router = Router::start(controller.address, 1);
    router.serves(world.revision()).await;
    for n in 0..200 {
        world.alias(&format!("a{n:04}"), 8, if n == 77 { "" } else { "second" });
    }
    controller.publish(&world);
    let mut good = world.clone();
    good.alias("a0077", 7, "first");
    router.serves(good.revision()).await;
    assert_eq!(router.model("a0077").as_deref(), Some("first"));
    assert_eq!(router.config()["rejections"][0]["id"], "shop/a0077");
    router.counts("moniker_snapshot_rejections_total 1").await;
}

#[tokio::test]
async fn a_controller_that_lags_can_change_nothing() {
    let mut world = World::of(3);
    let behind = world.clone();
    world.alias("a0000", 20, "second");
    world.delete("a0001", 21);
    let controller = Controller::with(&world).await;
    let address = controller.address;
    let mut router = Router::start(address, 1);
    router.serves(world.revision()).await;
    controller.end().await;

    let lagging = Controller::start_at("one", address).await;
    lagging.publish(&behind);
    // Something that only it says shows that it was heard.
    let mut more = behind.clone();
    more.alias("b", 5, "new");
    lagging.publish(&more);
    let mut both = world.clone();
    both.alias("b", 5, "new");
    both.alias("a0001", 7, "first");
    // The deletion was over before this router came: it has no tombstone of it, but what it holds
    // it defends.
    router.serves(both.revision()).await;
    assert_eq!(router.model("a0000").as_deref(), Some("second"));
    assert_eq!(router.config()["refused"][0]["id"], "shop/a0000");
    router.counts("moniker_snapshot_refusals_total 1").await;
}

#[tokio::test]
async fn what_was_deleted_while_the_link_was_down_is_gone_after() {
    let mut world = World::of(3);
    let controller = Controller::with(&world).await;
    let address = controller.address;
    let mut router = Router::start(address, 1);
    router.serves(world.revision()).await;
    controller.end().await;
    // The controller that comes back did not see the deletion: it is absent from its list.
    world.aliases.remove("a0001");
    let controller = Controller::start_at("one", address).await;
    controller.publish(&world);
    router.serves(world.revision()).await;
    assert_eq!(router.model("a0001"), None);
}

#[tokio::test]
async fn an_empty_list_takes_nothing_away_and_is_doubted() {
    let world = World::of(30);
    let controller = Controller::with(&world).await;
    let address = controller.address;
    let mut router = Router::start(address, 1);
    router.serves(world.revision()).await;
    controller.end().await;

    let controller = Controller::start_at("one", address).await;
    let mut doubts = controller.publisher.doubts();
    let mut empty = World { known: Some(2000), ..World::default() };
    controller.publish(&empty);
    doubts.changed().await.unwrap();
    empty.alias("b", 2001, "new");
    controller.publish(&empty);
    let mut kept = world.clone();
    kept.alias("b", 2001, "new");
    router.serves(kept.revision()).await;
    let held = &router.config()["heldCommit"];
    assert_eq!(held["absent"].as_array().unwrap().len(), 31);

    // Deleting all of them passes at once.
    for name in world.aliases.keys() {
        empty.delete(name, 2002);
    }
    empty.deleted.insert(wire::Key::target(&id("t")), 2002);
    controller.publish(&empty);
    router.serves(empty.revision()).await;
}

#[tokio::test]
async fn a_router_waits_for_a_controller_that_is_not_ready() {
    let world = World::of(1);
    let controller = Controller::start("one").await;
    let mut router = Router::start(controller.address, 1);
    let request = reqwest::Client::new().post(controller.url("raw"));
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    controller.publish(&world);
    router.serves(world.revision()).await;

    // Closed to new ones, it keeps those that it has.
    controller.publisher.open(false);
    let refused = reqwest::Client::new().post(controller.url("raw")).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let mut next = world.clone();
    next.alias("a0000", 8, "second");
    controller.publish(&next);
    router.serves(next.revision()).await;
}

/// A controller that accepts and then says nothing is given up, and another one is asked.
#[tokio::test]
async fn a_silent_controller_is_given_up() {
    let world = World::of(1);
    let controller = Controller::with(&world).await;
    let address = controller.address;
    // A stream as far as its first COMMIT, to be played back and followed by silence.
    let mut stream = Vec::new();
    let mut raw = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {}?router=r&protocol=1 HTTP/1.1\r\nhost: c\r\ncontent-length: 0\r\n\r\n",
        wire::PATH
    );
    raw.write_all(request.as_bytes()).await.unwrap();
    while !stream.windows(6).any(|w| w == b"COMMIT") || !stream.ends_with(b"\n") {
        raw.read_buf(&mut stream).await.unwrap();
    }
    drop(raw);
    controller.end().await;
    let listener = TcpListener::bind(address).await.unwrap();
    let mut router = Router::start(address, 1);
    let (mut first, _) = listener.accept().await.unwrap();
    first.write_all(&stream).await.unwrap();
    router.serves(world.revision()).await;
    let second = listener.accept().await.unwrap();
    // The router has closed the first one.
    while first.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {}
    drop(second);
    drop(listener);
    let mut next = world.clone();
    next.alias("a0000", 8, "second");
    let controller = Controller::start_at("one", address).await;
    controller.publish(&next);
    router.serves(next.revision()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_comes_back_and_is_current() {
    let mut world = World::of(20);
    let controller = Controller::with(&world).await;
    let address = controller.address;
    let mut routers: Vec<Router> = (0..50).map(|seed| Router::start(address, seed)).collect();
    for router in &mut routers {
        router.serves(world.revision()).await;
    }
    assert_eq!(controller.metrics.routers.get(), 50);
    controller.end().await;
    world.alias("a0000", 8, "second");
    let controller = Controller::start_at("one", address).await;
    controller.publish(&world);
    for router in &mut routers {
        router.serves(world.revision()).await;
    }
    assert_eq!(controller.metrics.routers.get(), 50);
    drop(routers);
    // Those that left are no longer counted.
    let mut reader = Reader::ask(&controller, &Held::default()).await;
    while !matches!(
        reader.frame().await, Some(Frame::Heartbeat(heartbeat)) if heartbeat.routers == Some(1)
    ) {}
}
