//! `moniker check`: one chat request through a router, as an application would send it, and in one
//! line what came of it. For `helm test`, for pipelines, and for whoever has just set it up.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args as ClapArgs;
use reqwest::{Certificate, Client, redirect::Policy};
use serde_json::{Value, json};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a request may take that nothing else limits.
const REQUEST: Duration = Duration::from_secs(60);
/// The time between two requests with `--wait`.
const PAUSE: Duration = Duration::from_millis(500);
/// What is told of an answer that is no good.
const TOLD: usize = 1024;

/// Arguments of `moniker check`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Where the router is, such as http://moniker-router.moniker-system.svc, with or without /v1.
    #[arg(value_name = "URL")]
    pub url: reqwest::Url,

    /// The alias to ask.
    #[arg(long, env = "MONIKER_MODEL", value_name = "MODEL")]
    pub model: String,

    /// A file with the caller's key. Default: none is sent.
    #[arg(long, env = "MONIKER_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// A PEM file with the authorities to trust instead of the machine's own.
    #[arg(long, env = "MONIKER_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// How long to go on asking while the answer is no good, such as 2m. Default: ask once.
    #[arg(long, env = "MONIKER_WAIT", value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// Why nothing can be asked.
#[derive(Debug)]
pub enum Error {
    /// A file cannot be read, or holds something else.
    File(PathBuf, String),
    /// No client can be made.
    Client(reqwest::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Client(error) => write!(f, "cannot make an HTTP client: {error}"),
        }
    }
}

impl std::error::Error for Error {}

fn duration(text: &str) -> Result<Duration, String> {
    api::duration::parse(text)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a duration such as 30s or 2m".to_owned())
}

/// Asks, tells in one line, and gives the exit code: 0 if the alias answered.
pub async fn run(args: &Args, out: &mut impl Write) -> Result<u8, Error> {
    let request = Request::new(args)?;
    let started = Instant::now();
    loop {
        match request.send().await {
            Ok(line) => {
                let _ = writeln!(out, "{line}");
                return Ok(0);
            }
            Err(line) if args.wait.is_none_or(|wait| started.elapsed() + PAUSE > wait) => {
                let _ = writeln!(out, "{line}");
                return Ok(1);
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

struct Request {
    client: Client,
    url: String,
    model: String,
    key: Option<String>,
}

impl Request {
    fn new(args: &Args) -> Result<Self, Error> {
        let mut client =
            Client::builder().redirect(Policy::none()).no_proxy().connect_timeout(CONNECT);
        client = client.timeout(args.wait.unwrap_or(REQUEST).clamp(CONNECT, REQUEST));
        if let Some(path) = &args.ca_file {
            let wrong = |error| Error::File(path.clone(), format!("no certificates: {error}"));
            let all = Certificate::from_pem_bundle(&read(path)?).map_err(wrong)?;
            if all.is_empty() {
                return Err(Error::File(path.clone(), "has no certificate".to_owned()));
            }
            client = client.tls_certs_only(all);
        }
        let key = args.key_file.as_deref().map(key).transpose()?;
        let base = args.url.as_str().trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        Ok(Self {
            client: client.build().map_err(Error::Client)?,
            url: format!("{base}/v1/chat/completions"),
            model: args.model.clone(),
            key,
        })
    }

    /// Sends it once; a line that says what came of it, either way.
    async fn send(&self) -> Result<String, String> {
        let body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": "Reply with the word ok."}],
            "max_completion_tokens": 16,
        });
        let mut request = self.client.post(&self.url).json(&body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let started = Instant::now();
        let answer = request.send().await.map_err(|error| causes(&error))?;
        let status = answer.status();
        let header = |name: &str| {
            let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(|value| format!(" {}={value}", name.trim_start_matches("x-moniker-")))
        };
        let headers = ["x-moniker-alias", "x-moniker-target", "x-moniker-attempts", "x-request-id"];
        let headers: String = headers.into_iter().filter_map(header).collect();
        let said = answer.text().await.map_err(|error| causes(&error))?;
        let line = format!("{}{headers} in {} ms", status.as_u16(), started.elapsed().as_millis());
        let json: Value = serde_json::from_str(&said).unwrap_or_default();
        if !status.is_success() {
            let message = json["error"]["message"].as_str().unwrap_or(&said);
            return Err(format!("{line}: {}", shortened(message)));
        }
        if json["choices"].as_array().is_none_or(Vec::is_empty) {
            return Err(format!("{line}: no chat completion: {}", shortened(&said)));
        }
        Ok(line)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::File(path.to_owned(), error.to_string()))
}

/// The key in a file, without the line's end that editors add.
fn key(path: &Path) -> Result<String, Error> {
    let wrong = |why: &str| Error::File(path.to_owned(), why.to_owned());
    let text = String::from_utf8(read(path)?).map_err(|_| wrong("is no text"))?;
    let key = text.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("is no key: want one word of ASCII"));
    }
    Ok(key.to_owned())
}

/// An error of the client with what is behind it, which alone says what to mend.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// The beginning of what may be long.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(TOLD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim()
}
