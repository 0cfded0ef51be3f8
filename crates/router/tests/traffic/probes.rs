//! Probes: a GET by the router that the controller names, which feeds ejection and nothing else.

use std::{sync::Arc, time::Duration};

use router::link::FleetNews;
use routing::{Nanos, ObjectId, fleet::FleetView, outcome::Fault, snapshot::CompiledProbe};

use crate::{
    rig::{NAMESPACE, Rig, World, ask},
    upstream::{self, Upstream, chat, response},
};

fn world(upstream: &Upstream) -> World {
    World::over(&[upstream]).secret(0, "sk-1").target(0, |t| {
        t.probe = Some(CompiledProbe { interval_ms: 5, path: "models".to_owned() });
    })
}

fn name(rig: &Rig, names: &[&str]) {
    let probes = names.iter().map(|name| ObjectId::new(NAMESPACE, *name)).collect();
    let view = FleetView { routers: 1, probes, ..FleetView::default() };
    rig.traffic.fleet(FleetNews::View(view), Nanos::ZERO + Duration::from_nanos(1));
}

/// Probing for as long as it is held.
struct Probing(tokio::task::JoinHandle<std::convert::Infallible>);

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn probing(rig: &Rig) -> Probing {
    Probing(tokio::spawn(router::probe::run(Arc::clone(&rig.traffic), 7)))
}

fn probed(rig: &Rig, outcome: &str) -> f64 {
    let series =
        format!(r#"moniker_probes_total{{provider_target="shop/t0",outcome="{outcome}"}}"#);
    rig.metric(&series).unwrap_or_default()
}

#[tokio::test]
async fn the_named_target_is_asked_with_its_credential() {
    let only = Upstream::always(response("200 OK", "", r#"{"data":[]}"#)).await;
    let other = Upstream::always(chat("never")).await;
    let mut both = world(&only);
    let mut second = crate::rig::target("t1", &other.url());
    second.probe = Some(CompiledProbe { interval_ms: 5, path: "models".to_owned() });
    both.targets.push(second);
    let rig = Rig::start(both).await;
    let _probing = probing(&rig);
    name(&rig, &["t0", "gone"]);
    only.asked(3).await;
    for seen in only.seen() {
        assert!(seen.head.starts_with("GET /v1/models HTTP/1.1\r\n"), "{}", seen.head);
        assert_eq!(seen.header("authorization"), Some("Bearer sk-1"));
        assert!(seen.body.is_empty());
    }
    assert!(probed(&rig, "Success") >= 2.0);
    assert_eq!(other.count(), 0, "nobody named it");
    assert!(rig.traffic.report().models.is_empty(), "a probe says nothing of a model");
    // Another view takes the task away, and an edit that drops the probe would too.
    name(&rig, &["t1"]);
    other.asked(1).await;
    let before = only.count();
    other.asked(4).await;
    assert!(only.count() <= before + 1, "one may have been under way");
}

#[tokio::test]
async fn before_the_first_word_nothing_is_probed() {
    let only = Upstream::always(chat("ok")).await;
    let rig = Rig::start(world(&only)).await;
    let _probing = probing(&rig);
    assert_eq!(rig.chat(ask()).await.status, 200);
    assert_eq!(only.count(), 1, "the request alone");
}

#[tokio::test]
async fn a_refused_credential_ejects_until_it_changes() {
    let refused = upstream::error("401 Unauthorized", "", "invalid_api_key", "no");
    let only = Upstream::always(refused).await;
    let rig = Rig::start(world(&only)).await;
    let _probing = probing(&rig);
    name(&rig, &["t0"]);
    only.asked(2).await;
    let id = ObjectId::new(NAMESPACE, "t0");
    assert_eq!(rig.traffic.report().credential_faults.get(&id), Some(&Fault::Auth));
    assert!(probed(&rig, "Auth") >= 1.0);
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.header("x-moniker-reason")), (502, "ejected"));
    assert!(only.seen().iter().all(|seen| seen.head.starts_with("GET ")));
}

#[tokio::test]
async fn a_target_that_is_gone_is_ejected_and_a_real_request_readmits_it() {
    let nobody = upstream::refused().await;
    let good = Upstream::always(chat("ok")).await;
    let mut lost = World::of(&[format!("http://{nobody}/v1"), good.url()]);
    lost.targets[0].probe = Some(CompiledProbe { interval_ms: 5, path: "models".to_owned() });
    let rig = Rig::start(lost).await;
    let _probing = probing(&rig);
    name(&rig, &["t0"]);
    while probed(&rig, "Connect") < 3.0 {
        tokio::task::yield_now().await;
    }
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.target(), answer.header("x-moniker-attempts")), ("t1", "1"));
}
