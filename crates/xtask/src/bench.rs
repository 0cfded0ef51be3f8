//! `cargo xtask bench`: measurements, which judge nothing.

use anyhow::Result;

use crate::run;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum What {
    /// Compile ten thousand aliases over two hundred targets
    Compile,
}

/// Measures what was asked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args.what {
        What::Compile => run::run(&mut run::cargo(&["bench", "--package", "compiler"])),
    }
}
