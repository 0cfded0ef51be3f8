//! What gets no stream, and is told why.

use controller::publish::check_address;
use serde_json::Value;

use crate::rig::{Controller, World, install_crypto};

async fn refused(url: &str, body: Vec<u8>) -> (u16, Value) {
    install_crypto();
    let response = reqwest::Client::new().post(url).body(body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let controller = Controller::with(&World::of(1)).await;
    let base = format!("http://{}{}", controller.address, wire::PATH);
    for (query, body, status, reason) in [
        ("?router=r&protocol=2", "", 400, "ProtocolNotServed"),
        ("?router=r&protocol=one", "", 400, "ProtocolNotServed"),
        ("?router=r", "", 400, "ProtocolNotServed"),
        ("?protocol=1", "", 400, "InvalidName"),
        ("?router=a%20b&protocol=1", "", 400, "InvalidName"),
        ("?router=r&protocol=1", "{", 400, "InvalidBody"),
        (
            "?router=r&protocol=1",
            r#"{"resources":[{"kind":"Alias","id":"no"}]}"#,
            400,
            "InvalidBody",
        ),
    ] {
        let (got, answer) = refused(&format!("{base}{query}"), body.into()).await;
        assert_eq!((got, answer["error"]["reason"].as_str()), (status, Some(reason)), "{query}");
    }
    let (status, answer) =
        refused(&format!("{base}?router=r&protocol=1"), vec![b' '; wire::MAX_HELD + 1]).await;
    assert_eq!(status, 413);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(&wire::MAX_HELD.to_string()), "{message}");
    let get = reqwest::get(format!("{base}?router=r&protocol=1")).await.unwrap();
    assert_eq!(get.status(), 405);
}

#[test]
fn the_stream_stays_on_loopback() {
    for fine in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(check_address(fine.parse().unwrap()).is_ok(), "{fine}");
    }
    for beyond in ["0.0.0.0:8443", "[::]:8443", "10.0.0.1:8443", "[::ffff:10.0.0.1]:1"] {
        let error = check_address(beyond.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("loopback") && error.contains("127.0.0.1:8443"), "{error}");
    }
}
