//! `cargo xtask simulate`: routing strategies in simulated worlds. Builds the package `simulate`
//! with optimisation, which the task runner itself is not, and starts it where the caller is, so
//! that the paths of files are the caller's.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::assets;

/// What is passed on.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Such as `--seeds 200..205`, `--worlds FILE` or `-o json`; `--help` lists all
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Builds and starts the simulation. Nothing but what it prints is printed: it may be JSON.
pub(crate) fn run(args: &Args) -> Result<()> {
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--release", "--package", "simulate", "--manifest-path"])
        .arg(assets::workspace().join("Cargo.toml"))
        .arg("--")
        .args(&args.args)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the simulation ended with {status}");
    }
    Ok(())
}
