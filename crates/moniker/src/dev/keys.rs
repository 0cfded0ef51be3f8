//! Real providers for the sample: those whose usual variables are in the environment. What is added
//! of each is a document of `deploy/samples/providers`; a key stays where it is, in the environment.

mod aws;

use std::{fmt::Write, net::IpAddr, time::Duration};

use ipnet::IpNet;
use url::{Host, Url};

/// The lineup that the binary carries.
const SAMPLE: &str = include_str!("../../../../deploy/samples/dev.yaml");
/// Where the entries of `prod-chat` begin in it.
const ENTRIES: &str =
    "metadata: {name: prod-chat}\nspec:\n  strategy: {type: Priority}\n  targets:\n";
/// How long Ollama is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// What Ollama cuts a prompt to unless `OLLAMA_CONTEXT_LENGTH` says otherwise.
const OLLAMA_CONTEXT: u64 = 4096;

/// A provider that is told by a variable.
struct Known {
    name: &'static str,
    /// Variables with its key, the best first, which is the one in its document.
    keys: &'static [&'static str],
    /// The variable with the base URL of another server in its place.
    base: &'static str,
    /// What the provider's own SDKs put behind that URL.
    version: &'static str,
    document: &'static str,
}

macro_rules! known {
    ($($name:literal: $keys:expr, $base:literal $(, $version:literal)?;)+) => {
        &[$(Known {
            name: $name,
            keys: &$keys,
            base: $base,
            version: concat!("" $(, $version)?),
            document: include_str!(concat!(
                "../../../../deploy/samples/providers/", $name, ".yaml"
            )),
        }),+]
    };
}

/// In the order in which `prod-chat` asks them.
const KNOWN: &[Known] = known! {
    "openai": ["OPENAI_API_KEY"], "OPENAI_BASE_URL";
    "anthropic": ["ANTHROPIC_API_KEY"], "ANTHROPIC_BASE_URL", "/v1";
    "gemini": ["GEMINI_API_KEY", "GOOGLE_API_KEY"], "GOOGLE_GEMINI_BASE_URL", "/v1beta";
    "groq": ["GROQ_API_KEY"], "GROQ_BASE_URL";
    "mistral": ["MISTRAL_API_KEY"], "MISTRAL_BASE_URL";
    "deepseek": ["DEEPSEEK_API_KEY"], "DEEPSEEK_BASE_URL";
    "xai": ["XAI_API_KEY"], "XAI_BASE_URL";
    "openrouter": ["OPENROUTER_API_KEY"], "OPENROUTER_BASE_URL";
    "together": ["TOGETHER_API_KEY"], "TOGETHER_BASE_URL";
};

/// The sample with what was added to it.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// The documents.
    pub(super) text: String,
    /// What to say of it, a line each. No key is in it.
    pub(super) told: Vec<String>,
    /// Addresses that the environment names, which may therefore be connected to.
    pub(super) allowed: Vec<IpNet>,
    /// The entries that `prod-chat` gets.
    entries: Vec<String>,
    names: Vec<&'static str>,
}

/// What a variable holds, if it is set to something.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The sample, and the providers that the environment has keys for.
pub(super) async fn sample(environment: Environment<'_>) -> Sample {
    let mut sample = Sample::default();
    for known in KNOWN {
        sample.add(known, environment);
    }
    sample.bedrock(environment);
    if let Some(host) = environment("OLLAMA_HOST") {
        sample.ollama(&host, environment).await;
    }
    sample.finish();
    sample
}

impl Sample {
    fn add(&mut self, known: &Known, environment: Environment<'_>) {
        let Some(key) = known.keys.iter().find(|key| environment(key).is_some()) else { return };
        let mut document = known.document.to_owned();
        if let Some(first) = known.keys.first() {
            document = document.replace(&format!("${{{first}}}"), &format!("${{{key}}}"));
        }
        self.provider(known, key, document, environment);
    }

    fn bedrock(&mut self, environment: Environment<'_>) {
        match aws::document(environment) {
            None => {}
            Some(Err(why)) => self.told.push(format!("Not added: bedrock, because {why}")),
            Some(Ok((key, document))) => {
                let known = Known {
                    name: "bedrock",
                    keys: &[aws::API_KEY, aws::ACCESS_KEY],
                    base: aws::BASE,
                    version: "",
                    document: "",
                };
                self.provider(&known, key, document, environment);
            }
        }
    }

    /// Adds a provider by its document, at another server where the environment names one.
    fn provider(
        &mut self,
        known: &Known,
        key: &str,
        mut document: String,
        environment: Environment<'_>,
    ) {
        let mut at = String::new();
        if let Some(base) = environment(known.base) {
            let Some(url) = self.url(&base) else {
                let line = format!(
                    "Not added: {}, because {} is not the URL of a server",
                    known.name, known.base
                );
                self.told.push(line);
                return;
            };
            let url = format!("{}{}", url.as_str().trim_end_matches('/'), known.version);
            at = format!(" at {url}");
            document = placed(&document, &url);
        }
        let models: Vec<&str> = models(&document).collect();
        let line = format!("Added: {} ({key}{at}): {}", known.name, models.join(", "));
        self.told.push(line);
        self.entry(known.name, models.first().copied().unwrap_or_default());
        self.document(&document);
    }

    /// The URL of a server, whose address may be connected to from now on.
    fn url(&mut self, text: &str) -> Option<Url> {
        let url =
            Url::parse(text.trim()).ok().filter(|u| matches!(u.scheme(), "http" | "https"))?;
        match url.host()? {
            // This machine is allowed anyway.
            Host::Ipv4(ip) if !ip.is_loopback() => self.allowed.push(IpNet::from(IpAddr::from(ip))),
            Host::Ipv6(ip) if !ip.is_loopback() => self.allowed.push(IpNet::from(IpAddr::from(ip))),
            _ => {}
        }
        // What a URL may carry beside the place would be printed, and is no place.
        let plain = url.username().is_empty() && url.password().is_none();
        plain.then_some(url)
    }

    fn entry(&mut self, name: &'static str, model: &str) {
        self.names.push(name);
        self.entries.push(format!(
            "  - {{name: {name}, model: {}, providers: [{{name: {name}}}]}}\n",
            quoted(model)
        ));
    }

    fn document(&mut self, document: &str) {
        self.text.push_str("---\n");
        self.text.push_str(document);
    }

    async fn ollama(&mut self, host: &str, environment: Environment<'_>) {
        let Some(url) = server(host).and_then(|text| self.url(&text)) else {
            self.told.push("Not added: ollama, because OLLAMA_HOST is no host".to_owned());
            return;
        };
        let base = format!("{}/v1", url.as_str().trim_end_matches('/'));
        let found = match ollama_models(&base).await {
            Ok(found) => found,
            Err(why) => {
                self.told.push(format!("Not added: ollama, because {url} (OLLAMA_HOST) {why}"));
                return;
            }
        };
        let [first, ..] = found.as_slice() else {
            let line = "Not added: ollama, because it has no model yet: `ollama pull` one";
            self.told.push(line.to_owned());
            return;
        };
        let length = environment("OLLAMA_CONTEXT_LENGTH").and_then(|n| n.trim().parse().ok());
        let document = ollama_document(&base, &found, length.unwrap_or(OLLAMA_CONTEXT));
        self.told.push(format!("Added: ollama (OLLAMA_HOST at {url}): {}", found.join(", ")));
        self.entry("ollama", first);
        self.document(&document);
    }

    /// Puts it together.
    fn finish(&mut self) {
        let documents = std::mem::take(&mut self.text);
        let entries = self.entries.concat();
        self.text = SAMPLE.replacen(ENTRIES, &format!("{ENTRIES}{entries}"), 1);
        self.text.push_str(&documents);
        if self.names.is_empty() {
            let variables: Vec<&str> =
                KNOWN.iter().filter_map(|known| known.keys.first().copied()).collect();
            self.told.push(format!(
                "The demo provider alone answers. For real answers set a key and start again: {} \
                 or OLLAMA_HOST",
                variables.join(", ")
            ));
            return;
        }
        self.told.push(format!(
            "prod-chat asks, in this order, {} and the demo; each is also an alias by its own name",
            self.names.join(", ")
        ));
    }
}

/// A text as YAML has it between quotes, which is as JSON has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The document with its endpoint at another server.
fn placed(document: &str, url: &str) -> String {
    let endpoint = format!("  endpoint: {{url: {}}}\n", quoted(url));
    let mut lines: String = String::new();
    for line in document.split_inclusive('\n') {
        if line.starts_with("  endpoint:") {
            continue;
        }
        lines.push_str(line);
        if line.starts_with("  provider:") {
            lines.push_str(&endpoint);
        }
    }
    lines
}

/// The models of a document.
fn models(document: &str) -> impl Iterator<Item = &str> {
    let names = document.lines().filter_map(|line| line.strip_prefix("  - name: "));
    names.map(|name| name.trim_matches('"'))
}

/// `OLLAMA_HOST` as Ollama reads it: a host, a host and port, or a URL; what a server listens on for
/// everybody is asked on this machine.
fn server(host: &str) -> Option<String> {
    let host = host.trim().trim_end_matches('/');
    let (scheme, rest, port) = match host.split_once("://") {
        Some(("https", rest)) => ("https", rest, None),
        Some(("http", rest)) => ("http", rest, None),
        Some(_) => return None,
        None => ("http", host, Some(11434)),
    };
    let text = if rest.starts_with(':') { format!("127.0.0.1{rest}") } else { rest.to_owned() };
    let mut url = Url::parse(&format!("{scheme}://{text}")).ok()?;
    let everybody = match url.host()? {
        Host::Ipv4(ip) => ip.is_unspecified(),
        Host::Ipv6(ip) => ip.is_unspecified(),
        Host::Domain(_) => false,
    };
    if everybody {
        url.set_host(Some("127.0.0.1")).ok()?;
    }
    if let (None, Some(port)) = (url.port(), port) {
        url.set_port(Some(port)).ok()?;
    }
    Some(url.to_string())
}

#[derive(serde::Deserialize)]
struct Listed {
    data: Vec<ListedModel>,
}

#[derive(serde::Deserialize)]
struct ListedModel {
    id: String,
}

/// The models that a server has, or why they are not known.
async fn ollama_models(base: &str) -> Result<Vec<String>, &'static str> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(|_| "cannot be asked")?;
    let answer = client.get(format!("{base}/models")).send().await;
    let answer = answer.map_err(|_| "does not answer: start `ollama serve`, then this again")?;
    let listed: Listed = answer.json().await.map_err(|_| "does not answer as Ollama does")?;
    Ok(listed.data.into_iter().map(|model| model.id).collect())
}

fn ollama_document(base: &str, models: &[String], context: u64) -> String {
    let mut text = format!(
        "apiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {{name: ollama}}\nspec:\n  \
         provider: OpenAICompatible\n  endpoint: {{url: {}}}\n  auth: {{type: None}}\n  models:\n",
        quoted(base)
    );
    for model in models {
        text.push_str(&format!(
            "  - {{name: {}, contextWindow: {context}, price: {{input: \"0\", output: \"0\"}}}}\n",
            quoted(model)
        ));
    }
    text.push_str(
        "---\napiVersion: moniker.dev/v1alpha1\nkind: ModelAlias\nmetadata: {name: ollama}\nspec:\n  \
         strategy: {type: Priority}\n  targets:\n",
    );
    for (n, model) in models.iter().take(32).enumerate() {
        text.push_str(&format!(
            "  - {{name: m{n}, model: {}, providers: [{{name: ollama}}]}}\n",
            quoted(model)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn with(variables: &[(&str, &str)]) -> Sample {
        let find = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        sample(&find).await
    }

    /// Loads as `moniker dev` does; no variable is read from this process.
    fn loads(sample: &Sample) {
        let options = cli::load::Options {
            variables: |_| Some("sk-test".to_owned()),
            settings: compiler::Settings { dev: true, ..compiler::Settings::default() },
            ..cli::load::Options::default()
        };
        let loaded = cli::load::load_text("sample", &sample.text, options);
        assert!(loaded.is_fine(), "{:?}\n{}", loaded.problems, sample.text);
        let compiled = compiler::compile(&loaded.world());
        assert!(compiled.findings.is_empty(), "{:?}", compiled.findings);
    }

    #[tokio::test]
    async fn nothing_is_added_without_a_key() {
        let sample = with(&[]).await;
        assert_eq!(sample.text, SAMPLE);
        assert!(sample.told[0].contains("OPENAI_API_KEY"), "{:?}", sample.told);
    }

    #[tokio::test]
    async fn every_provider_is_added_by_its_key_and_comes_first() {
        for known in KNOWN {
            for key in known.keys {
                let sample = with(&[(key, "sk-canary")]).await;
                loads(&sample);
                let said = sample.told.join("\n");
                assert!(said.contains(known.name) && said.contains(key), "{said}");
                assert!(!said.contains("canary") && !sample.text.contains("canary"));
                let entry = sample.text.find(&format!("{{name: {}, model:", known.name)).unwrap();
                assert!(entry < sample.text.find("{name: first, model:").unwrap());
                assert!(sample.text.contains(&format!("${{{key}}}")), "{}", sample.text);
            }
        }
        let keys: Vec<(&str, &str)> = KNOWN.iter().map(|known| (known.keys[0], "sk")).collect();
        loads(&with(&keys).await);
    }

    #[tokio::test]
    async fn bedrock_is_added_by_the_variables_of_aws() {
        let region = ("AWS_REGION", "eu-west-1");
        let (id, secret) = (("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "canary"));
        let (token, api) =
            (("AWS_SESSION_TOKEN", "canary"), ("AWS_BEARER_TOKEN_BEDROCK", "canary"));
        for (variables, kind, has, lacks) in [
            (&[id, secret, region][..], "AWSSigV4", "secret-access-key:", "session-token:"),
            (&[id, secret, token, region], "AWSSigV4", "session-token:", "api-key:"),
            (
                &[id, secret, api, region],
                "Bearer",
                "AWS_BEARER_TOKEN_BEDROCK}",
                "AWS_ACCESS_KEY_ID}",
            ),
            (&[api, ("AWS_DEFAULT_REGION", "eu-west-1")], "Bearer", "api-key:", "session-token:"),
        ] {
            let sample = with(variables).await;
            loads(&sample);
            let at = sample.text.find("kind: Secret\nmetadata: {name: bedrock}").unwrap();
            assert!(sample.text[at..].contains(has), "{variables:?}: {}", sample.text);
            assert!(!sample.text[at..].contains(lacks), "{variables:?}: {}", sample.text);
            assert!(sample.text.contains("bedrock: {region: eu-west-1}"));
            assert!(sample.text.contains(&format!("  auth: {{type: {kind}, ")));
            let said = sample.told.join("\n");
            assert!(said.contains("Added: bedrock (AWS_") && !said.contains("canary"), "{said}");
        }
        for (variables, why) in [
            (&[id, secret][..], "AWS_REGION is not set"),
            (&[id, region], "AWS_SECRET_ACCESS_KEY is not set"),
            (&[api, ("AWS_REGION", "moon")], "AWS_REGION is no region"),
            (&[api, region, (aws::BASE, "ftp://a")], "is not the URL of a server"),
        ] {
            let sample = with(variables).await;
            assert_eq!(sample.text, SAMPLE);
            assert!(sample.told[0].contains(why), "{:?}", sample.told);
        }
    }

    #[tokio::test]
    async fn a_base_url_takes_the_place_of_the_providers_own() {
        let key = ("GROQ_API_KEY", "sk");
        let sample = with(&[key, ("GROQ_BASE_URL", "http://10.1.2.3:9/x")]).await;
        loads(&sample);
        assert!(sample.text.contains(r#"endpoint: {url: "http://10.1.2.3:9/x"}"#));
        assert!(!sample.text.contains("api.groq.com"));
        assert_eq!(sample.allowed, ["10.1.2.3/32".parse().unwrap()]);
        for bad in ["nonsense", "ftp://a", "http://user:pass@a"] {
            let sample = with(&[key, ("GROQ_BASE_URL", bad)]).await;
            assert_eq!(sample.text, SAMPLE, "{bad}");
            assert!(sample.told[0].starts_with("Not added: groq"), "{:?}", sample.told);
            assert!(!sample.told[0].contains("pass"));
        }
    }

    #[test]
    fn ollamas_host_is_read_as_ollama_reads_it() {
        for (host, url) in [
            ("127.0.0.1", "http://127.0.0.1:11434/"),
            ("0.0.0.0:1", "http://127.0.0.1:1/"),
            (":8080", "http://127.0.0.1:8080/"),
            ("gpu", "http://gpu:11434/"),
            ("http://gpu", "http://gpu/"),
            ("https://gpu/", "https://gpu/"),
            ("[::]", "http://127.0.0.1:11434/"),
        ] {
            assert_eq!(server(host).as_deref(), Some(url), "{host}");
        }
        assert_eq!(server("ftp://x"), None);
    }

    #[tokio::test]
    async fn an_ollama_that_is_not_there_is_said() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let sample = with(&[("OLLAMA_HOST", &closed.to_string())]).await;
        assert_eq!(sample.text, SAMPLE);
        assert!(sample.told[0].contains("does not answer"), "{:?}", sample.told);
    }

    #[test]
    fn a_document_of_ollama_loads() {
        let models = ["llama3.2:3b".to_owned(), "a \"b\"".to_owned()];
        let text = ollama_document("http://127.0.0.1:11434/v1", &models[..1], 4096);
        loads(&Sample { text, ..Sample::default() });
        assert_eq!(quoted(&models[1]), r#""a \"b\"""#);
    }
}
