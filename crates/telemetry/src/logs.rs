//! The set-up of logs: to standard error, as text for people or one JSON object a line for
//! collectors. `RUST_LOG` says what is logged; without it, everything from `info` on.

use std::{io, io::IsTerminal as _, str::FromStr};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter, layer::SubscriberExt as _};

/// How a line of log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// A word that names no format.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no log format: want text or json")]
pub struct UnknownFormat(String);

impl FromStr for LogFormat {
    type Err = UnknownFormat;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

/// Why logs were not set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// `RUST_LOG` does not parse.
    #[error("RUST_LOG={value:?} is no filter: {source}; for example info, or router=debug,info")]
    Filter {
        /// What it was.
        value: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// They were set up before.
    #[error("logs are set up already")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Sets logs up for this process. Call it once, first thing.
pub fn init(format: LogFormat) -> Result<(), InitError> {
    let filter = filter(std::env::var("RUST_LOG").ok().as_deref())?;
    let colour = io::stderr().is_terminal();
    Ok(tracing::subscriber::set_global_default(subscriber(format, filter, colour, io::stderr))?)
}

/// The filter that `RUST_LOG`'s value asks for.
fn filter(value: Option<&str>) -> Result<EnvFilter, InitError> {
    let value = value.map(str::trim).filter(|v| !v.is_empty()).unwrap_or("info");
    EnvFilter::try_new(value)
        .map_err(|source| InitError::Filter { value: value.to_owned(), source })
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    colour: bool,
    out: W,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(out);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => Box::new(registry.with(lines.with_ansi(colour))),
        LogFormat::Json => {
            // Our own field `target`, who was asked, stands on the line under that name, and a
            // collector keeps one member of a name.
            Box::new(registry.with(lines.json().flatten_event(true).with_target(false)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter_value: Option<&str>) -> String {
        let captured = Captured::default();
        let out = captured.clone();
        let made = subscriber(format, filter(filter_value).unwrap(), false, move || out.clone());
        tracing::subscriber::with_default(made, || {
            tracing::info!(alias = "shop/prod", target = "shop/a/m", status = 200, "served");
            tracing::debug!("detail");
        });
        let bytes = captured.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn one_line_an_event_in_either_format() {
        let json = logged(LogFormat::Json, None);
        assert_eq!(json.lines().count(), 1, "{json}");
        for part in [r#""message":"served""#, r#""alias":"shop/prod""#, r#""status":200"#] {
            assert!(json.contains(part), "{json}");
        }
        assert_eq!(json.matches(r#""target":"#).count(), 1, "who was asked alone: {json}");
        let text = logged(LogFormat::Text, Some(" "));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("served alias=\"shop/prod\" target=\"shop/a/m\" status=200"),
            "{text}"
        );
        assert_eq!(logged(LogFormat::Text, Some("telemetry=debug")).lines().count(), 2);
        assert_eq!(logged(LogFormat::Text, Some("warn")), "");
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = filter(Some("router=loud")).unwrap_err().to_string();
        assert!(error.contains("RUST_LOG=\"router=loud\""), "{error}");
        assert_eq!("json".parse::<LogFormat>().unwrap().to_string(), "json");
        assert!("xml".parse::<LogFormat>().unwrap_err().to_string().contains("text or json"));
    }
}
