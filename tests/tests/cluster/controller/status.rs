//! What the controller says of objects: conditions, columns, and nothing when nothing changes.

use super::harness::{
    Controller, alias, condition, get, kubectl, plane, ready, target, target_alone, until,
};

#[tokio::test]
async fn one_bad_target_is_named_and_the_alias_stays_ready() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("bad-target").await.unwrap();
    let _controller = Controller::start(&user, &[]).await;
    plane.apply(&target(&namespace, "good", "sk-one")).await.unwrap();
    plane.apply(&target_alone(&namespace, "bad", "OpenAI")).await.unwrap();
    plane.apply(&alias(&namespace, "prod-chat", &["good", "bad"])).await.unwrap();

    let named = |object: &serde_json::Value| object["status"]["summary"]["targets"] == "1/2";
    let object = until(&plane, &namespace, "modelalias/prod-chat", named).await;
    assert_eq!(condition(&object, "Ready")["status"], "True");
    assert_eq!(condition(&object, "ResolvedRefs")["status"], "False");
    assert!(object["status"]["conditions"].to_string().contains("bad"), "{object:#}");
    ready(&plane, &namespace, "modelalias/prod-chat").await;
    let generation = &object["metadata"]["generation"];
    assert_eq!(&object["status"]["observedGeneration"], generation);
    for condition in object["status"]["conditions"].as_array().unwrap() {
        assert_eq!(&condition["observedGeneration"], generation, "{condition}");
    }

    let table = kubectl(&plane, &["get", "ma", "-n", &namespace]).await;
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["prod-chat", "prod-chat", "Priority", "1/2", "True"], "{table}");
    until(&plane, &namespace, "providertarget/good", |o| o["status"]["usedBy"] == 1).await;
    let table = kubectl(&plane, &["get", "pt", "good", "-n", &namespace]).await;
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["good", "OpenAI", "1", "True", "1"], "{table}");
}

#[tokio::test]
async fn an_edit_is_looked_at_and_its_generation_is_said() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("edit").await.unwrap();
    let _controller = Controller::start(&user, &[]).await;
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    ready(&plane, &namespace, "modelalias/chat").await;
    let before = get(&plane, &namespace, "modelalias/chat").await;

    plane.apply(&alias(&namespace, "chat", &["openai", "gone"])).await.unwrap();
    let object = until(&plane, &namespace, "modelalias/chat", |object| {
        object["status"]["observedGeneration"] == 2
    })
    .await;
    let times = |object| condition(object, "Ready")["lastTransitionTime"].clone();
    assert_eq!(condition(&object, "Ready")["status"], "True");
    assert_eq!(times(&object), times(&before), "Ready was True before and after");
}

#[tokio::test]
async fn nothing_is_written_when_nothing_changes() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("quiet").await.unwrap();
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&target_alone(&namespace, "bad", "OpenAI")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    plane.apply(&alias(&namespace, "broken", &["bad"])).await.unwrap();
    let names =
        ["modelalias/chat", "modelalias/broken", "providertarget/openai", "providertarget/bad"];
    let first = Controller::start(&user, &[]).await;
    let mut before = Vec::new();
    for name in names {
        let settled =
            |object: &serde_json::Value| condition(object, "Ready")["observedGeneration"] == 1;
        before.push(until(&plane, &namespace, name, settled).await);
    }
    let writes = first.writes().await;
    assert!(writes >= 4, "{writes}");

    // Compilations without a difference: each proved by a fresh alias that got its own status.
    for round in 0..3 {
        let name = format!("round-{round}");
        plane.apply(&alias(&namespace, &name, &["gone"])).await.unwrap();
        until(&plane, &namespace, &format!("modelalias/{name}"), |object| {
            condition(object, "Ready")["observedGeneration"] == 1
        })
        .await;
    }
    assert_eq!(first.writes().await, writes + 3, "one write for each fresh alias");
    assert!(first.terminate().await);

    // Another process knows nothing of what was written, and finds nothing to write.
    let second = Controller::start(&user, &[]).await;
    plane.apply(&alias(&namespace, "last", &["gone"])).await.unwrap();
    until(&plane, &namespace, "modelalias/last", |object| {
        condition(object, "Ready")["observedGeneration"] == 1
    })
    .await;
    assert_eq!(second.writes().await, 1, "{}", second.log());
    for (name, before) in names.iter().zip(&before) {
        let now = get(&plane, &namespace, name).await;
        assert_eq!(now["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    }
}

#[tokio::test]
async fn a_status_that_somebody_else_overwrites_is_written_again() {
    let (plane, user) = plane().await;
    let namespace = plane.namespace("second-writer").await.unwrap();
    let _controller = Controller::start(&user, &[]).await;
    plane.apply(&target(&namespace, "openai", "sk-one")).await.unwrap();
    plane.apply(&alias(&namespace, "chat", &["openai"])).await.unwrap();
    ready(&plane, &namespace, "modelalias/chat").await;
    let name = "modelalias/chat";
    let wrong = "{\"status\":{\"summary\":{\"targets\":\"7/9\"},\"conditions\":[]}}";
    let args =
        ["patch", name, "-n", &namespace, "--subresource=status", "--type=merge", "-p", wrong];
    kubectl(&plane, &args).await;
    ready(&plane, &namespace, name).await;
    until(&plane, &namespace, name, |object| object["status"]["summary"]["targets"] == "1/1").await;
}
