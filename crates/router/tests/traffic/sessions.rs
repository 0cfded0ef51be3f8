//! Requests of one session go to one target, on every router, as long as it is well.

use std::collections::BTreeMap;

use routing::{StrategyKind, StrategySpec, snapshot::CompiledAffinity};

use crate::{
    rig::{Rig, World, ask},
    upstream::{Upstream, chat, error},
};

async fn four() -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    for _ in 0..4 {
        upstreams.push(Upstream::always(chat("ok")).await);
    }
    upstreams
}

fn world(upstreams: &[Upstream], kind: StrategyKind) -> World {
    World::over(&upstreams.iter().collect::<Vec<_>>())
        .alias(|a| a.lineup.strategy = StrategySpec::of(kind))
}

#[tokio::test]
async fn a_session_keeps_its_target_on_every_router() {
    let upstreams = four().await;
    for kind in
        [StrategyKind::RandomShuffle, StrategyKind::LowestLatency, StrategyKind::LowestUsage]
    {
        let (one, two) =
            (Rig::start(world(&upstreams, kind)).await, Rig::start(world(&upstreams, kind)).await);
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        for session in 0..24 {
            let session = format!("session-{session}");
            let headers = [("x-moniker-session", session.as_str())];
            let mut targets = Vec::new();
            for rig in [&one, &two, &one, &two] {
                let answer = rig.post_with("/v1/chat/completions", ask(), &headers).await;
                targets.push(answer.target().to_owned());
            }
            targets.dedup();
            assert_eq!(targets.len(), 1, "{kind}: {session} went to {targets:?}");
            *shares.entry(targets.remove(0)).or_default() += 1;
        }
        assert!(shares.len() > 2, "{kind}: all sessions are at {shares:?}");
    }
}

#[tokio::test]
async fn an_error_breaks_a_session_for_one_request_alone() {
    let upstreams = four().await;
    let rig = Rig::start(world(&upstreams, StrategyKind::RandomShuffle).alias(|a| {
        a.affinity = CompiledAffinity::Header("x-chat".to_owned());
    }))
    .await;
    let headers = [("x-chat", "one")];
    let ask = || rig.post_with("/v1/chat/completions", ask(), &headers);
    let home = ask().await.target().to_owned();
    let at: usize = home[1..].parse().unwrap();
    upstreams[at].next(error("500 Internal Server Error", "", "server_error", "b"));
    let away = ask().await;
    assert_eq!(away.status, 200);
    assert_ne!(away.target(), home);
    assert_eq!(ask().await.target(), home);
}

#[tokio::test]
async fn a_conversation_is_known_by_how_it_begins() {
    let upstreams = four().await;
    let rig = Rig::start(world(&upstreams, StrategyKind::RandomShuffle).alias(|a| {
        a.affinity = CompiledAffinity::PromptPrefix;
    }))
    .await;
    let turn = |first: usize, later: &str| {
        format!(
            r#"{{"model":"prod-chat","messages":[{{"role":"user","content":"question {first}"}}{later}]}}"#
        )
    };
    let mut seen = std::collections::BTreeSet::new();
    for first in 0..16 {
        let home = rig.chat(&turn(first, "")).await.target().to_owned();
        let later = r#",{"role":"assistant","content":"x"},{"role":"user","content":"y"}"#;
        assert_eq!(rig.chat(&turn(first, later)).await.target(), home);
        assert_eq!(rig.explain(&turn(first, "")).await["request"]["session"], true);
        seen.insert(home);
    }
    assert!(seen.len() > 2, "{seen:?}");
}

#[tokio::test]
async fn the_callers_of_a_key_go_to_one_target() {
    let upstreams = four().await;
    let mut world = world(&upstreams, StrategyKind::RandomShuffle).alias(|a| {
        a.affinity = CompiledAffinity::AccessKey;
    });
    let keys = ["mk-a", "mk-b", "mk-c", "mk-d", "mk-e", "mk-f", "mk-g", "mk-h"];
    for key in keys {
        world = world.key(key, |_| {});
    }
    let rigs = [Rig::start(world.clone()).await, Rig::start(world).await];
    let mut seen = std::collections::BTreeSet::new();
    for key in keys {
        let home = rigs[0].chat_as(key, ask()).await.target().to_owned();
        for rig in &rigs {
            for _ in 0..4 {
                assert_eq!(rig.chat_as(key, ask()).await.target(), home, "{key}");
            }
        }
        seen.insert(home);
    }
    assert!(seen.len() > 1, "{seen:?}");
    assert_eq!(rigs[0].explain(ask()).await["request"]["session"], false, "one without a key");
}
