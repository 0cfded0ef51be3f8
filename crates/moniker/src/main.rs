//! One name for many models: the binary. Arguments, allocator, crypto provider; every command is
//! another crate's.

mod dev;
mod signals;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use telemetry::logs::LogFormat;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One name for many models.
///
/// Applications send an alias as `model` to an OpenAI-compatible endpoint; Moniker resolves it, per
/// request, to one of many targets, and falls back to the next when one fails. Start with
/// `moniker dev`.
///
/// Exit codes: 0 fine, 1 found something wrong, 2 wrong use.
#[derive(Debug, Parser)]
#[command(name = "moniker", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How log lines look.
    #[arg(long, global = true, env = "MONIKER_LOG_FORMAT", default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves YAML files on this machine: no cluster, no key, with a demo provider.
    Dev(dev::Args),
    /// Checks YAML files as a cluster would, offline.
    Validate(cli::validate::Args),
    /// Tells what prompts are about, and how often that is right.
    Classify(cli::classify::Args),
    /// Prices from lists that others keep, as ProviderTarget patches.
    Prices(cli::prices::Args),
    /// Watches a Kubernetes API server and serves routers.
    Controller(controller::Args),
    /// Serves callers.
    Router(router::args::RouterArgs),
    /// One request through a router, and what came of it.
    Check(cli::check::Args),
    /// A provider to play with.
    DemoUpstream(cli::demo::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            // Not a log line: logs may not be set up, or be off, and whoever started it looks here.
            let _ = writeln!(std::io::stderr(), "error: {}", told(&error));
            if error.is::<WrongUse>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Arguments that parse and make no sense together, or on this machine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUse(pub(crate) String);

/// An error with its causes, each said once: most messages name their cause themselves.
fn told(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    telemetry::logs::init(cli.log_format)?;
    if let Command::Classify(args) = &cli.command {
        return Ok(ExitCode::from(cli::classify::run(args, &mut std::io::stdout().lock())));
    }
    if let Command::Validate(args) = &cli.command {
        return Ok(ExitCode::from(cli::validate::run(args, &mut std::io::stdout().lock())));
    }
    if let Command::Prices(args) = &cli.command {
        let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
        return Ok(ExitCode::from(cli::prices::run(args, &mut out, &mut err)));
    }
    // Fails only where one was installed before, and nothing was.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Everything but a router's traffic, which has a runtime of its own.
    let runtime = tokio::runtime::Runtime::new()?;
    match cli.command {
        Command::Dev(args) => runtime.block_on(dev::run(args))?,
        Command::Controller(args) => runtime.block_on(async {
            controller::run(args, signals::stop()?).await?;
            anyhow::Ok(())
        })?,
        Command::Router(args) => runtime.block_on(async {
            let stop = signals::stop()?;
            let config = router::run::Config::from_args(args)?;
            let running = router::run::start(config, &stop).await?;
            tracing::info!(listen = %running.listen, admin = %running.admin, "serving");
            running.wait().await;
            anyhow::Ok(())
        })?,
        Command::Check(args) => {
            let code = runtime.block_on(cli::check::run(&args, &mut std::io::stdout()))?;
            return Ok(ExitCode::from(code));
        }
        Command::DemoUpstream(args) => runtime.block_on(async {
            let stop = signals::stop()?;
            let listener = tokio::net::TcpListener::bind(args.listen).await.map_err(|error| {
                anyhow::anyhow!("cannot listen on {} (--listen): {error}", args.listen)
            })?;
            let base = args.behaviour.protocol.base();
            let url = format!("http://{}{base}", listener.local_addr()?);
            tracing::info!(%url, "serving");
            tokio::select! {
                result = cli::demo::serve(listener, args.behaviour, router::run::seed()) => result?,
                () = stop.cancelled() => {}
            }
            anyhow::Ok(())
        })?,
        // Done above, without a runtime.
        Command::Validate(_) | Command::Classify(_) | Command::Prices(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow::anyhow!("in use").context("cannot listen: in use").context("start");
        assert_eq!(told(&error), "start: cannot listen: in use");
    }

    #[test]
    fn every_flag_is_long_and_an_environment_variable() {
        Cli::command().debug_assert();
        let cli = Cli::command();
        let mut commands: Vec<_> = cli.get_subcommands().collect();
        commands.extend(cli.get_subcommands().flat_map(clap::Command::get_subcommands));
        for command in commands {
            for flag in command.get_arguments().filter(|a| !a.is_positional()) {
                if matches!(flag.get_id().as_str(), "help" | "version") {
                    continue;
                }
                let name = format!("{} {}", command.get_name(), flag.get_id());
                assert!(flag.get_long().is_some(), "{name}");
                let variable = flag.get_env().and_then(|v| v.to_str()).unwrap_or_default();
                assert!(variable.starts_with("MONIKER_"), "{name}: {variable}");
            }
        }
    }
}
