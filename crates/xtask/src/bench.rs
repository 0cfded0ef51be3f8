//! `cargo xtask bench`: measurements, which judge nothing.

mod load;
mod process;
mod proxy;

use anyhow::Result;

use crate::run;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Compile ten thousand aliases over two hundred targets
    Compile,
    /// The router and Debian's nginx as a plain proxy before the same canned upstream: CPU per
    /// request, and their ratio
    Proxy(proxy::Args),
}

/// Measures what was asked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Compile => run::run(&mut run::cargo(&["bench", "--package", "compiler"])),
        What::Proxy(args) => proxy::run(args),
    }
}
