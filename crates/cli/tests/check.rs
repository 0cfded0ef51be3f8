//! `moniker check` against a provider that is really asked.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use cli::{check, demo};
use tokio::net::TcpListener;

async fn asked(url: &str, more: impl FnOnce(&mut check::Args)) -> (u8, String) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut args = check::Args {
        url: url.parse().unwrap(),
        model: "m".to_owned(),
        key_file: None,
        ca_file: None,
        wait: None,
    };
    more(&mut args);
    let mut out = Vec::new();
    let code = check::run(&args, &mut out).await.unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn an_answer_is_told_in_a_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let behaviour = demo::Behaviour { first_token: Duration::ZERO, ..Default::default() };
    tokio::spawn(demo::serve(listener, behaviour, 1));
    for url in [base.clone(), format!("{base}/"), format!("{base}/v1"), format!("{base}/v1/")] {
        let (code, line) = asked(&url, |_| {}).await;
        assert!(code == 0 && line.starts_with("200 ") && line.lines().count() == 1, "{line}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason_and_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let behaviour = demo::Behaviour { error_rate: 1.0, ..Default::default() };
    tokio::spawn(demo::serve(listener, behaviour, 1));
    let (code, line) = asked(&base, |_| {}).await;
    assert!(code == 1 && line.starts_with("500 ") && line.contains(": "), "{line}");
}

#[tokio::test]
async fn nobody_there_is_told_and_waiting_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let wait = |args: &mut check::Args| args.wait = Some(Duration::from_millis(600));
    let (code, line) = asked(&base, wait).await;
    assert!(code == 1 && line.contains("refused"), "{line}");
}

#[tokio::test]
async fn files_that_are_wrong_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "two words\n").unwrap();
    let mut args = check::Args {
        url: "http://127.0.0.1:1".parse().unwrap(),
        model: "m".to_owned(),
        key_file: Some(path),
        ca_file: None,
        wait: None,
    };
    let error = check::run(&args, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("key: is no key") && !error.contains("two words"), "{error}");
    args.key_file = None;
    args.ca_file = Some(directory.path().join("none"));
    let error = check::run(&args, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("none: No such file"), "{error}");
}
