//! A credential that a provider rejects: callers are served by others, and operators see it.

use testkit::{
    moniker::Moniker,
    upstream::{Script, Upstream},
};

use super::{PATIENCE, explain};
use crate::rig::{admin, ask, priority, request, secret, target};

/// The gauge that says so.
const FAULT: &str = r#"moniker_credential_fault{provider_target="default/a",outcome="Auth"} 1"#;

#[tokio::test]
async fn a_rejected_credential_is_visible_until_it_is_mended() {
    let (a, b) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let yaml = |key: &str| {
        let auth = "auth: {type: Bearer, secretRef: {name: a, key: api-key}}";
        secret("a", key)
            + &target("a", &a.url(), &[auth])
            + &target("b", &b.url(), &[])
            + &priority("both", &["a", "b"], &[])
            + &priority("alone", &["a"], &[])
    };
    let mut moniker = Moniker::dev(&yaml("sk-stale-key")).await.unwrap();
    assert!(!admin(&moniker, "metrics").await.body.contains("moniker_credential_fault{"));

    a.always(Script::error(401, "invalid_api_key", "Incorrect API key provided: sk-stale-key"));
    let answer = ask(&moniker, &request("both", false)).await;
    assert_eq!((answer.status, answer.told()), (200, ("2", "b", "fallback")), "{}", answer.body);
    // The key is ours, so it is no fault of the caller's.
    let answer = ask(&moniker, &request("alone", false)).await;
    assert_eq!(answer.status, 502, "{}", answer.body);

    let metrics = admin(&moniker, "metrics").await.body;
    assert!(metrics.lines().any(|line| line == FAULT), "{metrics}");
    let told = explain(moniker.url(), &request("both", false)).await;
    let candidates = told["candidates"].as_array().unwrap();
    let seen = candidates.iter().find(|c| c["target"] == "default/a/m").unwrap();
    assert_eq!(
        (&seen["availability"], &seen["ejectedBy"]),
        (&"EjectedHard".into(), &"Auth".into())
    );
    for text in [&metrics, &told.to_string(), &answer.body, &moniker.output()] {
        assert!(!text.contains("sk-stale-key"), "{text}");
    }

    // A new key ends what the old one caused.
    a.always(Script::chat("hello"));
    moniker.edit(&yaml("sk-fresh-key")).unwrap();
    // A key is no part of the revision that a reload waits for, so it may come a moment later.
    moniker.printed("Loaded again").await.unwrap();
    let mended = async { while ask(&moniker, &request("alone", false)).await.status != 200 {} };
    tokio::time::timeout(PATIENCE, mended).await.unwrap();
    assert!(!admin(&moniker, "metrics").await.body.contains("moniker_credential_fault{"));
}
