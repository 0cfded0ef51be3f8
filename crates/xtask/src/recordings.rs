//! `cargo xtask recordings`: what becomes of recorded answers of providers, in any folder: decoded,
//! written for each protocol, or refused, and why.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

#[path = "../../providers/tests/translation/coverage.rs"]
mod coverage;

/// How to call it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders with PROVIDER.jsonl or PROVIDER.jsonl.gz, or with `recordings` that has them: a JSON
    /// object a line, `{path, status, request, response | response_base64}`
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// How to print it
    #[arg(short = 'o', long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Prints the table. What failed is an error; what was refused is not.
pub(crate) fn run(args: &Args) -> Result<()> {
    let table = coverage::Table::of(&args.folders).map_err(|why| anyhow!(why))?;
    match args.output {
        Output::Text => print!("{}", table.to_text()),
        Output::Json => println!("{}", table.to_json()),
    }
    let failed: usize = table.rows.values().map(|row| row.failed).sum();
    if failed > 0 {
        bail!("{failed} recordings failed");
    }
    Ok(())
}
