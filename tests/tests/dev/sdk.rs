//! The official Python SDK against `moniker dev`: what application developers have.

use std::process::Command;

use testkit::{moniker::Moniker, programs};

use crate::SAMPLE;

#[tokio::test]
async fn the_official_sdk_works() {
    let mut moniker = Moniker::dev(SAMPLE).await.unwrap();
    let line = moniker.printed("Demo upstream:").await.unwrap();
    let demo = line.split_once("http://").unwrap().1.split('/').next().unwrap().to_owned();
    moniker.edit(&SAMPLE.replace("127.0.0.1:8091", &demo)).unwrap();
    moniker.printed("Loaded again").await.unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/openai_sdk.py");
    let url = moniker.url().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(programs::python("requirements").unwrap())
            .arg(script)
            .arg(url)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}\n{}", moniker.output());
    assert!(text.contains("chat, stream, embeddings, models, error: fine"), "{text}");
}
