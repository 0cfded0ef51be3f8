//! `moniker dev` as its users meet it: the real binary on files, real sockets, no cluster.

#![cfg(test)]

mod access_keys;
mod aliases;
mod all_failed;
mod bad_input;
mod category;
mod disk;
mod drain;
mod dynamic;
mod faults;
mod files;
mod hostile;
mod identity;
mod key_limits;
mod keys;
mod logs;
mod metrics;
mod passthrough;
mod providers;
mod quickstart;
mod recovery;
mod rig;
mod sdk;
mod shuffle;
mod start;
mod streams;
mod translate;
mod validate;

use serde_json::{Value, json};
use testkit::moniker::Moniker;

/// The lineup that the binary carries.
const SAMPLE: &str = include_str!("../../../deploy/samples/dev.yaml");

/// A client that follows nothing and reads no proxy from the environment.
fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        // Plain HTTP alone: reading the system's authorities for each would be slow.
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// A chat request for this model.
fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "say hello to the world"}]})
}

/// Posts JSON and reads the answer as JSON.
async fn post(moniker: &Moniker, path: &str, body: &Value) -> (u16, http::HeaderMap, Value) {
    let answer = client().post(moniker.at(path)).json(body).send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    (status, headers, json)
}

/// The value of a header.
fn header<'a>(headers: &'a http::HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap_or_else(|| panic!("no {name} in {headers:?}")).to_str().unwrap()
}
