//! `moniker demo-upstream`: a provider to play with. It speaks every dialect that providers speak,
//! needs no key, and answers as whatever model it is asked for, with latency, errors and rate limits
//! as flags.
//!
//! It is written from the providers' wire formats alone and shares nothing with the translation of
//! the router, so that a mistake there meets a server that does not make the same one. What a
//! provider refuses it refuses too, in the provider's words, where a translation can go wrong:
//! members that the API does not know, tool results without a call, signatures that it did not issue.

mod answer;
mod ask;
mod embed;
mod fault;
mod limit;
mod sample;
mod server;
mod wire;

use std::{net::SocketAddr, time::Duration};

use clap::{
    Args as ClapArgs,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
pub use limit::RateLimit;
use providers::dialect::Dialect;
pub use server::serve;

/// Arguments of `moniker demo-upstream`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Where it listens.
    #[arg(long, env = "MONIKER_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8091")]
    pub listen: SocketAddr,

    /// How it behaves.
    #[command(flatten)]
    pub behaviour: Behaviour,
}

/// The protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One provider's.
    One(Dialect),
    /// All of them, told apart by their paths.
    All,
}

impl Default for Protocol {
    fn default() -> Self {
        Self::One(Dialect::OpenAiChat)
    }
}

impl Protocol {
    /// Whether a request of this dialect is for it.
    fn speaks(self, dialect: Dialect) -> bool {
        self == Self::All || self == Self::One(dialect)
    }

    /// The dialect of what it says to a request that it cannot place.
    fn voice(self) -> Dialect {
        match self {
            Self::One(dialect) => dialect,
            Self::All => Dialect::OpenAiChat,
        }
    }

    /// The path of its base URL, as a ProviderTarget is given it.
    pub fn base(self) -> &'static str {
        match self.voice() {
            Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => "/v1",
            Dialect::Gemini => "/v1beta",
            Dialect::Bedrock => "",
        }
    }

    fn values() -> Vec<PossibleValue> {
        let mut values = Vec::new();
        for dialect in Dialect::ALL {
            let (name, help) = match dialect {
                Dialect::OpenAiChat => (
                    "openai",
                    "OpenAI's chat completions, completions, embeddings, images, moderations and \
                     speech; rerank",
                ),
                Dialect::OpenAiResponses => (dialect.name(), "OpenAI's responses"),
                Dialect::Anthropic => (dialect.name(), "Anthropic's messages"),
                Dialect::Gemini => (dialect.name(), "Gemini's generateContent and embeddings"),
                Dialect::Bedrock => (dialect.name(), "Bedrock's Converse and ConverseStream"),
            };
            let value = PossibleValue::new(name).help(help);
            values.push(if name == dialect.name() { value } else { value.alias(dialect.name()) });
        }
        values.push(PossibleValue::new("all").help("All of them, told apart by their paths"));
        values
    }

    fn parser() -> impl TypedValueParser<Value = Self> {
        PossibleValuesParser::new(Self::values()).map(|word| match word.as_str() {
            "all" => Self::All,
            word => Self::One(Dialect::of(word).unwrap_or(Dialect::OpenAiChat)),
        })
    }
}

/// How it behaves.
#[derive(Clone, Debug, ClapArgs)]
pub struct Behaviour {
    /// The protocol that it speaks.
    #[arg(
        long,
        env = "MONIKER_PROTOCOL",
        value_parser = Protocol::parser(),
        default_value = "openai"
    )]
    pub protocol: Protocol,

    /// How long it thinks before the first token, such as 200ms.
    #[arg(long, env = "MONIKER_FIRST_TOKEN", value_parser = duration, default_value = "50ms")]
    pub first_token: Duration,

    /// How fast it writes.
    #[arg(long, env = "MONIKER_TOKENS_PER_SECOND", value_parser = speed, default_value = "200")]
    pub tokens_per_second: f64,

    /// The share of requests that it fails, from 0 to 1: 500 from OpenAI, as the others say it
    /// elsewhere (529 from Anthropic, 503 from Gemini and Bedrock).
    #[arg(long, env = "MONIKER_ERROR_RATE", value_parser = share, default_value = "0")]
    pub error_rate: f64,

    /// The share of streams that it breaks off in the middle with an error, from 0 to 1.
    #[arg(long, env = "MONIKER_STREAM_ERROR_RATE", value_parser = share, default_value = "0")]
    pub stream_error_rate: f64,

    /// The requests that it takes, such as 60/m or 5/s; 429 above. Default: no limit.
    #[arg(long, env = "MONIKER_RATE_LIMIT", value_name = "N/UNIT")]
    pub rate_limit: Option<RateLimit>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            protocol: Protocol::default(),
            first_token: Duration::from_millis(50),
            tokens_per_second: 200.0,
            error_rate: 0.0,
            stream_error_rate: 0.0,
            rate_limit: None,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    api::duration::parse(text)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a duration such as 200ms or 1s".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|s| (0.0..=1.0).contains(s));
    share.ok_or_else(|| "write a share from 0 to 1".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|s: &f64| (0.1..=1e6).contains(s));
    speed.ok_or_else(|| "write a number from 0.1 to 1000000".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn protocol(word: &str) -> Result<Protocol, clap::Error> {
        Cli::try_parse_from(["demo", "--protocol", word]).map(|cli| cli.args.behaviour.protocol)
    }

    #[test]
    fn every_dialect_is_a_protocol() {
        for dialect in Dialect::ALL {
            assert_eq!(protocol(dialect.name()).unwrap(), Protocol::One(dialect));
        }
        assert_eq!(protocol("openai").unwrap(), Protocol::One(Dialect::OpenAiChat));
        assert_eq!(protocol("all").unwrap(), Protocol::All);
        assert!(protocol("cohere").is_err());
    }
}
