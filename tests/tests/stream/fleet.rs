//! The feedback loop over real sockets: routers report on their admin ports, the controller asks
//! them all, and each is told on its stream what the others saw.

use routing::{
    fleet::{FleetView, ModelKey, Report},
    stats::{Part, Sums, TimeScale},
};
use telemetry::feedback;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use wire::{Commit, Counts, Encoder, Frame, Held, Hello};

use crate::rig::{Controller, Reader, Router, World, id};

/// What a router reports that made so many attempts at the world's target.
fn report(attempts: f64) -> Report {
    let mut sums = Sums::default();
    sums.observe(Part::Attempts, attempts);
    let model = ModelKey { target: id("t"), model: "m".to_owned() };
    Report { models: [(model, sums)].into(), ..Report::default() }
}

/// Whether the view tells so many attempts of others, but for what fades while a test runs.
fn tells(view: &FleetView, attempts: f64) -> bool {
    let told = view.models.first().map(|one| one.sums.get(TimeScale::Slow, Part::Attempts));
    told.is_some_and(|told| told <= attempts && told > attempts / 2.0)
}

#[tokio::test]
async fn it_is_told_after_the_first_commit_and_after_each_sweep() {
    let (controller, fleet) = Controller::sweeping(&World::of(2)).await;
    let _router = Router::reporting(controller.address, 1, report(5.0)).await;
    fleet.rounds().wait_for(|_| fleet.view("x").is_some_and(|v| tells(&v, 5.0))).await.unwrap();

    let mut reader = Reader::ask(&controller, &Held::default()).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "COMMIT") {
        seen.push(reader.frame().await.unwrap().name().to_owned());
    }
    assert!(!seen.contains(&"FLEET".to_owned()), "before a snapshot it is about nothing: {seen:?}");
    let Some(Frame::Fleet(view)) = reader.frame().await else { panic!("no FLEET") };
    assert!(tells(&view, 5.0), "{view:?}");
    // It comes again and again, and keeps no heartbeat away, which tells more than life.
    let (mut views, mut heartbeats) = (0, 0);
    while views < 3 || heartbeats < 2 {
        match reader.frame().await.unwrap() {
            Frame::Fleet(_) => views += 1,
            Frame::Heartbeat(_) => heartbeats += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn three_routers_are_told_what_the_others_saw_and_who_leaves_is_forgotten() {
    let world = World::of(2);
    let (controller, _) = Controller::sweeping(&world).await;
    let mut routers = Vec::new();
    for (seed, attempts) in [(1, 1.0), (2, 10.0), (3, 100.0)] {
        routers.push(Router::reporting(controller.address, seed, report(attempts)).await);
    }
    for (router, others) in routers.iter_mut().zip([110.0, 101.0, 11.0]) {
        router.serves(world.revision()).await;
        let view = router.told(|view| view.routers == 3 && tells(view, others)).await;
        assert!(view.models[0].age_ms < 60_000, "{view:?}");
        router.counts("moniker_fleet_routers 3").await;
    }
    // The third leaves.
    routers.pop();
    for (router, others) in routers.iter_mut().zip([10.0, 1.0]) {
        router.told(|view| view.routers == 2 && tells(view, others)).await;
    }
}

#[tokio::test]
async fn what_follows_the_end_of_a_controller_is_the_view_of_its_successor() {
    let world = World::of(2);
    let (controller, _) = Controller::sweeping(&world).await;
    let mut router = Router::reporting(controller.address, 1, report(1.0)).await;
    let _other = Router::reporting(controller.address, 2, report(10.0)).await;
    router.told(|view| tells(view, 10.0)).await;
    controller.end().await;
    // It serves on, and what it was told stays.
    assert_eq!(router.model("a0001").as_deref(), Some("first"));
    assert!(router.times_told() > 0);
}

/// A scrape changes nothing, however often it comes.
#[tokio::test]
async fn a_report_is_the_same_for_everybody_who_asks() {
    let router = Router::reporting("127.0.0.1:1".parse().unwrap(), 1, report(3.0)).await;
    let told = [router.metrics.render(), router.metrics.render_feedback()];
    for text in told {
        assert_eq!(feedback::parse(&text).unwrap(), report(3.0));
    }
}

/// A controller that says this, once, after a COMMIT of nothing.
async fn saying(after: &[Frame]) -> std::net::SocketAddr {
    let mut frames = vec![
        Frame::Hello(Hello {
            protocol: 1,
            controller: "newer".to_owned(),
            cluster: "one".to_owned(),
            features: Vec::new(),
            heartbeat_millis: 60_000,
            routers: 7,
            admin_token: None,
        }),
        Frame::Commit(Commit {
            revision: routing::revision::revision(std::iter::empty()),
            counts: Counts::default(),
        }),
    ];
    frames.extend_from_slice(after);
    let (mut encoder, mut bytes) = (Encoder::default(), Vec::new());
    for frame in &frames {
        encoder.encode(frame, &mut bytes).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        // Until the router leaves.
        while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
    });
    address
}

#[tokio::test]
async fn one_that_cannot_be_read_is_counted_and_breaks_nothing() {
    let good = FleetView { routers: 0, probes: vec![id("t")], ..FleetView::default() };
    // Written, it is a FLEET that lacks everything.
    let bad = Frame::Unknown("FLEET".to_owned());
    let address = saying(&[bad.clone(), bad, Frame::Fleet(good)]).await;
    let mut router = Router::start(address, 1);
    let view = router.told(|view| view.probes == [id("t")]).await;
    assert_eq!(view.routers, 1, "at least 1");
    assert_eq!(router.config()["ignoredFrames"], 2);
    router.counts("moniker_link_connected 1").await;
}

#[tokio::test]
async fn an_admin_port_elsewhere_is_not_asked() {
    let (controller, fleet) = Controller::sweeping(&World::of(0)).await;
    let mut streams = Vec::new();
    for admin in ["169.254.169.254:80", "10.0.0.1:9090", "example.com:80", "127.0.0.1:0", "x"] {
        let url = format!("{}&admin={admin}", controller.url("r"));
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{admin}: the stream is served all the same");
        streams.push(answer);
    }
    let mut rounds = fleet.rounds();
    rounds.changed().await.unwrap();
    assert_eq!(fleet.routers(), Some(1), "at least 1 is told");
    let text = controller.metrics.render();
    assert!(!text.contains("moniker_controller_routers_ready 1"), "{text}");
}
