//! What is asked about the router itself: explanations, metadata, models.

use crate::{
    rig::{Rig, World, alias, ask, ask_stream},
    upstream::{self, DONE, Upstream, chat, chat_body, content, good_stream, role},
};

#[tokio::test]
async fn explain_tells_and_changes_nothing() {
    let (a, b) = (Upstream::always(chat("a")).await, Upstream::always(chat("b")).await);
    let world = World::over(&[&a, &b]).target(0, |t| t.cordoned = true);
    let rig = Rig::start(world).await;
    for path in ["/v1/explain/chat/completions", "/v1/explain/v1/chat/completions"] {
        let answer = rig.post(path, ask()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("x-moniker-alias"), "shop/prod-chat");
        let said = answer.json();
        assert_eq!(said["alias"], "shop/prod-chat");
        assert_eq!(answer.header("x-moniker-revision"), said["revision"]);
        assert_eq!(said["strategy"], "Priority");
        assert_eq!(said["candidates"][0]["target"], "shop/t1/m");
        assert_eq!(said["candidates"][0]["rank"], 1);
        assert_eq!(said["candidates"][1]["filtered"], "the target is cordoned");
        assert!(said["summary"].as_str().unwrap().contains("t1/m first"));
    }
    assert_eq!((a.count(), b.count()), (0, 0));
    assert!(!rig.metrics.render().contains(r#"moniker_requests_total{alias="shop"#));
    // Headers that cannot be read are an error of a request whose alias is known.
    let nobody = [("x-moniker-providers", ",")];
    let answer = rig.post_with("/v1/chat/completions", ask(), &nobody).await;
    assert_eq!((answer.status, answer.header("x-moniker-alias")), (400, "shop/prod-chat"));
}

#[tokio::test]
async fn metadata_is_added_where_it_is_wanted() {
    let (bad, good) = (
        Upstream::always(upstream::error("500 Internal Server Error", "", "server_error", "b"))
            .await,
        Upstream::always(chat("ok")).await,
    );
    let rig = Rig::start(World::over(&[&bad, &good])).await;
    let full = [("x-moniker-metadata", "full")];
    let answer = rig.post_with("/v1/chat/completions", ask(), &full).await;
    let before = chat_body("ok");
    assert!(
        answer.body.starts_with(&before[..before.len() - 1]),
        "bytes before it are as they were"
    );
    let said = &answer.json()["moniker"];
    assert_eq!(said["attempts"][0]["outcome"], "ServerError");
    assert_eq!(said["attempts"][0]["target"], "shop/t0/m");
    assert_eq!(said["attempts"][1]["outcome"], "Success");
    assert_eq!(said["reason"], "fallback");
    assert_eq!(said["tokens"]["output"], 2);

    let good = Upstream::always(good_stream("x")).await;
    let rig = Rig::start(World::over(&[&good])).await;
    let answer = rig.post_with("/v1/chat/completions", ask_stream(), &full).await;
    assert!(answer.body.starts_with(&[role(), content("x")].concat()));
    assert!(answer.body.ends_with(DONE));
    let events: Vec<&str> = answer.body.split_terminator("\n\n").collect();
    let said: serde_json::Value =
        serde_json::from_str(events[events.len() - 2].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(said["choices"], serde_json::json!([]));
    assert_eq!(said["moniker"]["attempts"][0]["outcome"], "Success");

    let dead = Upstream::always(upstream::error("400 Bad Request", "", "odd", "b")).await;
    let rig = Rig::start(World::over(&[&dead])).await;
    let answer = rig.post_with("/v1/chat/completions", ask(), &full).await;
    assert_eq!(answer.json()["moniker"]["attempts"][0]["outcome"], "InvalidRequest");
}

#[tokio::test]
async fn models_are_what_the_caller_may_name() {
    let only = Upstream::always(chat("ok")).await;
    let mut world = World::over(&[&only]);
    let mut internal = alias("hidden", 1);
    internal.visibility = routing::snapshot::Visibility::Internal;
    let mut foreign = alias("shared", 1);
    foreign.id = routing::ObjectId::new("other", "shared");
    foreign.export = routing::snapshot::Exported::All;
    let mut private = alias("private", 1);
    private.id = routing::ObjectId::new("other", "private");
    let mut shadowed = alias("prod-chat", 1);
    shadowed.id = routing::ObjectId::new("other", "prod-chat");
    shadowed.export = routing::snapshot::Exported::All;
    shadowed.created = 1;
    world.aliases.extend([internal, foreign, private, shadowed]);
    let rig = Rig::start(world).await;
    let listed = rig.get("/v1/models").await.json();
    let ids: Vec<&str> =
        listed["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["prod-chat", "shared"]);
    assert_eq!(listed["data"][0]["owned_by"], "shop");
    assert_eq!(rig.get("/v1/models/shared").await.json()["created"], 7);
    for name in ["hidden", "private", "prod-chatt"] {
        let answer = rig.get(&format!("/models/{name}")).await;
        assert_eq!(answer.error().1, "model_not_found", "{name}");
        let body = format!(r#"{{"model":"{name}","messages":[]}}"#);
        let answer = rig.chat(&body).await;
        assert_eq!((answer.status, answer.error().1.as_str()), (404, "model_not_found"));
        assert_eq!(answer.header("x-moniker-revision"), "");
    }
    let message = rig.chat(r#"{"model":"prod-chatt","messages":[]}"#).await.error().2;
    assert!(message.contains("Did you mean \"prod-chat\"?"), "{message}");
}

#[tokio::test]
async fn filters_name_what_is_missing() {
    let (a, b) = (Upstream::always(chat("a")).await, Upstream::always(chat("b")).await);
    let vision = r#"{"model":"prod-chat","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}]}"#;
    let rig = Rig::start(World::over(&[&a, &b])).await;
    let answer = rig.chat(vision).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (400, "unsupported_parameter"));
    assert!(answer.error().2.contains("lacks Vision"), "{}", answer.body);
    assert_eq!(answer.header("x-moniker-reason"), "no_target");

    let only_b = [("x-moniker-providers", "t1")];
    assert_eq!(rig.post_with("/v1/chat/completions", ask(), &only_b).await.target(), "t1");
    let none = [("x-moniker-providers", "t9")];
    assert_eq!(rig.post_with("/v1/chat/completions", ask(), &none).await.status, 400);

    let mut world = World::over(&[&a]);
    world.targets[0].auth.kind = routing::AuthKind::Bearer;
    let rig = Rig::start(world).await;
    let answer = rig.chat(ask()).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (503, "no_target"));
    assert!(answer.error().2.contains("credential is missing"));
}

#[tokio::test]
async fn a_held_alias_says_why() {
    let only = Upstream::always(chat("ok")).await;
    let mut world = World::over(&[&only]);
    world.held.push(("looped", "AliasCycle", "looped uses itself: remove the entry"));
    let rig = Rig::start(world).await;
    let answer = rig.chat(r#"{"model":"looped","messages":[]}"#).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (503, "alias_invalid"));
    assert!(answer.error().2.contains("AliasCycle: looped uses itself"), "{}", answer.body);
    assert_eq!(rig.chat(ask()).await.status, 200);
}
