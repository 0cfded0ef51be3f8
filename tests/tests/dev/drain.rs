//! A router that is asked to end while streams run: each is finished, or ends in an error of its
//! protocol when the grace period is over.

use futures::StreamExt as _;
use testkit::{
    fleet::Router,
    moniker::Moniker,
    upstream::{Script, Step, Upstream, delta, role},
};

use crate::{
    client,
    rig::{priority, request, target},
};

#[tokio::test]
async fn a_stream_that_outlasts_the_grace_period_ends_in_an_error() {
    let upstream = Upstream::start().await.unwrap();
    upstream.always(Script::stream_then([role("m"), delta("m", "begun")], [Step::Stall]));
    let yaml = target("only", &upstream.url(), &[]) + &priority("chat", &["only"], &[]);
    let mut dev = Moniker::dev_with(&yaml, &["--stream", "127.0.0.1:0"], &[]).await.unwrap();
    let stream = dev.stream().await.unwrap();
    let args = ["--grace-period", "100ms"];
    let mut router = Router::join(&stream, "ending", &args).await.unwrap();
    let chat = request("chat", true);
    let messages = "{\"model\": \"chat\", \"max_tokens\": 9, \"stream\": true, \
                    \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}"
        .to_owned();
    let mut streams = Vec::new();
    for (path, body) in [("chat/completions", chat), ("messages", messages)] {
        let url = format!("{}/{path}", router.url());
        let request = client().post(url).header("content-type", "application/json").body(body);
        let mut answer = request.send().await.unwrap().bytes_stream();
        let mut text = String::new();
        while !text.contains("begun") {
            text += std::str::from_utf8(&answer.next().await.unwrap().unwrap()).unwrap();
        }
        streams.push((path, answer, text));
    }

    router.daemon().terminate().unwrap();
    for (path, mut answer, mut text) in streams {
        while let Some(bytes) = answer.next().await {
            text += std::str::from_utf8(&bytes.unwrap()).unwrap();
        }
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(text.ends_with("\n\n") && last.contains("had to end"), "{path}: {text}");
        let shape = if path == "messages" { "event: error\n" } else { "data: {\"error\":" };
        assert!(last.contains(shape), "{path}: {last}");
        assert!(!text.contains("[DONE]") && !text.contains("message_stop"), "{path}: {text}");
    }
    let ended = tokio::task::spawn_blocking(move || router.daemon().wait());
    assert!(ended.await.unwrap().unwrap().success());
}
