//! Asks one router for its report. What answers may be anything: time and bytes are bounded, nothing
//! is followed to another host, and nothing is believed that cannot be.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use routing::fleet::Report;
use telemetry::SweepFailure;
use telemetry::feedback::{self, Parser, TooMuch};
use tokio::time::timeout;
use wire::AdminToken;

use super::programmed::{Answer, Pair};

/// The longest text that is read: so long is that of a router that tells everything it counts, with
/// some ten thousand pairs of alias and target in use.
const MAX_BODY: usize = 64 << 20;
/// The longest answer to what a router serves.
const MAX_ANSWER: usize = 8 << 20;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("it did not answer within {0:?}")]
    Timeout(Duration),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its report is over the limit of {MAX_BODY} bytes")]
    TooLong,
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    #[error("what it says is no answer: {0}")]
    NoAnswer(#[from] serde_json::Error),
}

impl Failure {
    pub(super) fn kind(&self) -> SweepFailure {
        match self {
            Self::Unreachable(_) => SweepFailure::Unreachable,
            Self::Timeout(_) => SweepFailure::Timeout,
            Self::Status(_) => SweepFailure::Status,
            Self::TooLong | Self::TooMuch(_) | Self::NoAnswer(_) => SweepFailure::Report,
        }
    }
}

/// Asks routers.
#[derive(Clone, Debug)]
pub(super) struct Scraper {
    client: reqwest::Client,
    patience: Duration,
}

impl Scraper {
    /// One that waits so long for a whole report.
    pub(super) fn new(patience: Duration) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(patience)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("moniker/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, patience })
    }

    /// The report of the router whose admin port this is.
    pub(super) async fn report(&self, admin: SocketAddr) -> Result<Report, Failure> {
        match timeout(self.patience, self.read(admin)).await {
            Ok(report) => report,
            Err(_elapsed) => Err(Failure::Timeout(self.patience)),
        }
    }

    /// Which of these the router whose admin port this is does not hold, and what it rejected.
    pub(super) async fn check(
        &self,
        admin: SocketAddr,
        token: Option<&AdminToken>,
        asked: &[Pair],
    ) -> Result<Answer, Failure> {
        let mut request = self.client.post(format!("http://{admin}/config/check"));
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        let request = request.json(&serde_json::json!({ "resources": asked }));
        let answer = async {
            let mut response = request.send().await?;
            if response.status() != StatusCode::OK {
                return Err(Failure::Status(response.status()));
            }
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > MAX_ANSWER {
                    return Err(Failure::TooLong);
                }
            }
            Ok(serde_json::from_slice(&bytes)?)
        };
        match timeout(self.patience, answer).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Failure::Timeout(self.patience)),
        }
    }

    async fn read(&self, admin: SocketAddr) -> Result<Report, Failure> {
        let alone = HeaderValue::from_static(feedback::ALONE);
        let request = self.client.get(format!("http://{admin}/metrics"));
        let request = request.header(HeaderName::from_static(feedback::HEADER), alone);
        let mut response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        let (mut parser, mut bytes) = (Parser::default(), 0);
        while let Some(chunk) = response.chunk().await? {
            bytes += chunk.len();
            if bytes > MAX_BODY {
                return Err(Failure::TooLong);
            }
            parser.push(&chunk)?;
        }
        Ok(parser.finish()?)
    }
}
