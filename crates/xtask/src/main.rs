//! The project's only task runner: `cargo xtask COMMAND`. Each command is a module, and everything
//! that a command runs is printed, so that a reader can run it by hand.
#![expect(clippy::print_stdout, reason = "a task runner talks to whoever started it")]

#[path = "../../testkit/src/assets.rs"]
mod assets;
mod bench;
mod cluster;
mod crds;
mod docs;
mod generated;
mod image;
mod manifests;
mod namespace;
mod recordings;
mod run;
mod setup;
mod simulate;
mod test;
mod tidy;
mod train;

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Moniker's task runner")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install or build what the tests need, once per machine
    Setup,
    /// Run every check and every test
    Test(test::Args),
    /// Write crds/*.yaml, and the chart of them, from the types
    Crds(generated::Args),
    /// Write deploy/kustomize/base from the chart, with Helm
    Manifests(generated::Args),
    /// Write docs/reference/*.md from the types
    Docs(generated::Args),
    /// Check the rules of the house: arrows between crates, files, banned crates
    Tidy,
    /// Build the container image and its SBOM, without any container tool
    Image(image::Args),
    /// Tell what becomes of recorded answers of providers, in any folder
    Recordings(recordings::Args),
    /// Run a real Kubernetes of one node on this machine
    #[command(subcommand)]
    Cluster(cluster::Task),
    /// Simulate routing strategies, and what others do
    Simulate(simulate::Args),
    /// Measure
    Bench(bench::Args),
    /// Train the built-in model that detects what prompts are about
    TrainClassifier(train::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Setup => setup::run(),
        Command::Test(args) => test::run(args),
        Command::Crds(args) => crds::files().iter().try_for_each(|all| args.write_or_check(all)),
        Command::Manifests(args) => manifests::files().and_then(|all| args.write_or_check(&all)),
        Command::Docs(args) => args.write_or_check(&docs::files()),
        Command::Tidy => tidy::run(),
        Command::Image(args) => image::run(&args),
        Command::Recordings(args) => recordings::run(&args),
        Command::Cluster(task) => cluster::run(&task),
        Command::Simulate(args) => simulate::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::TrainClassifier(args) => train::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where it is out of the way of what a command prints for machines.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
