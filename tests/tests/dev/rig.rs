//! What the tests of faults share: lineups written down in a few words, requests sent byte for byte,
//! answers read whole.

use http::HeaderMap;
use serde_json::Value;
use testkit::moniker::Moniker;

use crate::client;

/// A ProviderTarget that offers the model `m`, which the provider calls `up-NAME`; `more` are lines
/// of its spec.
pub(crate) fn target(name: &str, url: &str, more: &[&str]) -> String {
    let none = "auth: {type: None}";
    let auth = if more.iter().any(|line| line.starts_with("auth:")) { None } else { Some(none) };
    let lines: Vec<_> = auth.iter().chain(more).map(|line| format!("  {line}\n")).collect();
    let lines = lines.concat();
    format!(
        "---\napiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {{name: {name}}}\n\
         spec:\n  provider: OpenAICompatible\n  endpoint: {{url: \"{url}\"}}\n  \
         models: [{{name: m, upstreamName: up-{name}}}]\n{lines}"
    )
}

/// A Secret with the key `api-key`.
pub(crate) fn secret(name: &str, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n\
         stringData: {{api-key: \"{value}\"}}\n"
    )
}

/// An alias of these entries; `more` are lines of its spec.
pub(crate) fn alias(name: &str, strategy: &str, entries: &[String], more: &[&str]) -> String {
    let entries: Vec<_> = entries.iter().map(|entry| format!("  - {{{entry}}}\n")).collect();
    let lines: Vec<_> = more.iter().map(|line| format!("  {line}\n")).collect();
    let (entries, lines) = (entries.concat(), lines.concat());
    format!(
        "---\napiVersion: moniker.dev/v1alpha1\nkind: ModelAlias\nmetadata: {{name: {name}}}\nspec:\n  \
         strategy: {{type: {strategy}}}\n  targets:\n{entries}{lines}"
    )
}

/// A Priority alias over the model `m` of these ProviderTargets.
pub(crate) fn priority(name: &str, targets: &[&str], more: &[&str]) -> String {
    let entries: Vec<_> = targets.iter().map(|t| entry(t, "")).collect();
    alias(name, "Priority", &entries, more)
}

/// An entry that is the model `m` of this ProviderTarget; `more` begins with a comma.
pub(crate) fn entry(target: &str, more: &str) -> String {
    format!("name: {target}, model: m, providers: [{{name: {target}}}]{more}")
}

/// A chat request, in a spacing of its own.
pub(crate) fn request(model: &str, stream: bool) -> String {
    let stream =
        if stream { r#""stream":true, "stream_options":{"include_usage":true}, "# } else { "" };
    format!(
        "{{ {stream}\"model\" : \"{model}\",\n\t\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}], \
         \"x_unknown\":[1.0,  {{}}] }}"
    )
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// Reads it.
    pub(crate) async fn of(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.text().await.unwrap();
        Self { status, headers, body }
    }

    /// A header; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The attempts, the name of the ProviderTarget that was asked last, and the reason.
    pub(crate) fn told(&self) -> (&str, &str, &str) {
        let target = self.header("x-moniker-target").split('/').nth(1).unwrap_or_default();
        (self.header("x-moniker-attempts"), target, self.header("x-moniker-reason"))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The status, and the code and message of the error.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("code"), text("message"))
    }

    /// The events of a stream, without `[DONE]`.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let json = data.map(str::trim).filter(|data| *data != "[DONE]");
        json.map(|data| serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}")))
            .collect()
    }

    /// What the model said, in JSON or in a stream.
    pub(crate) fn said(&self) -> String {
        if self.header("content-type").starts_with("text/event-stream") {
            let events = self.events();
            let parts = events.iter().map(|e| e["choices"][0]["delta"]["content"].as_str());
            return parts.map(Option::unwrap_or_default).collect();
        }
        let text = &self.json()["choices"][0]["message"]["content"];
        text.as_str().unwrap_or_else(|| panic!("no content: {}", self.body)).to_owned()
    }
}

/// Sends a chat request.
pub(crate) async fn ask(moniker: &Moniker, body: &str) -> Answer {
    ask_with(moniker, body, &[]).await
}

/// Sends a chat request with these headers.
pub(crate) async fn ask_with(moniker: &Moniker, body: &str, headers: &[(&str, &str)]) -> Answer {
    Answer::of(open(moniker, body, headers).await).await
}

/// Sends a chat request; the body of the answer is still to be read.
pub(crate) async fn open(
    moniker: &Moniker,
    body: &str,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let mut request = client()
        .post(moniker.at("chat/completions"))
        .header("content-type", "application/json")
        .body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// Reads a path of the API.
pub(crate) async fn get(moniker: &Moniker, path: &str) -> Answer {
    Answer::of(client().get(moniker.at(path)).send().await.unwrap()).await
}

/// Reads a path of the admin port.
pub(crate) async fn admin(moniker: &Moniker, path: &str) -> Answer {
    Answer::of(client().get(moniker.admin(path)).send().await.unwrap()).await
}
