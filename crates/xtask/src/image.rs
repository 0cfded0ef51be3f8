//! `cargo xtask image`: the product as a container image, made without any container tool.

mod build;
pub(crate) mod layer;
pub(crate) mod oci;
mod sbom;
mod tree;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{assets, run};
use build::Profile;

/// What images are called that are made for this machine.
const DEV_NAME: &str = "localhost/moniker:dev";

/// Where the archive and the SBOM go, in the workspace.
const OUT: &str = "target/image";

/// How to call it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build as for development: quickly, not optimised and not reproducible
    #[arg(long)]
    dev: bool,

    /// The image's full name and tag [default: localhost/moniker:VERSION, with --dev :dev]
    #[arg(long)]
    name: Option<String>,

    /// Where the archive and the SBOM go
    #[arg(long, value_name = "DIRECTORY", default_value = OUT)]
    out: PathBuf,

    /// Write the image's files into this directory, for a builder of images, and no archive
    #[arg(long, value_name = "DIRECTORY")]
    files: Option<PathBuf>,
}

/// Builds and writes it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let profile = if args.dev { Profile::Dev } else { Profile::Release };
    let epoch = epoch()?;
    let binary = build::binary(profile, epoch)?;
    let tree = tree::tree(&binary)?;
    if let Some(root) = &args.files {
        tree.write_to(root)?;
        println!("wrote the image's files to {}", root.display());
        return Ok(());
    }
    let out = assets::workspace().canonicalize()?.join(&args.out);
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let document = sbom::document(&target()?, &fs::read(&binary)?, epoch)?;
    write(&out.join("moniker.cdx.json"), serde_json::to_string_pretty(&document)?.as_bytes())?;
    let version = env!("CARGO_PKG_VERSION");
    let name = args.name.clone().unwrap_or_else(|| match profile {
        Profile::Release => format!("localhost/moniker:{version}"),
        Profile::Dev => DEV_NAME.to_owned(),
    });
    let labels = [
        ("title", "moniker"),
        ("description", "One name for many models: routes LLM requests to providers"),
        ("licenses", "Apache-2.0"),
        ("version", version),
    ];
    let image = oci::Image {
        name: &name,
        entrypoint: tree::ENTRYPOINT,
        user: tree::USER,
        architecture: architecture()?,
        labels: &labels,
        epoch,
    };
    let archive = image.archive(&tree)?;
    write(&out.join("moniker.tar"), &archive.bytes)?;
    println!("{name} {}", archive.digest);
    Ok(())
}

/// The image of a developer's build, built and written to a file.
pub(crate) fn dev() -> Result<PathBuf> {
    let out = Path::new(OUT);
    run(&Args { dev: true, name: None, out: out.to_owned(), files: None })?;
    Ok(assets::workspace().join(out).join("moniker.tar"))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| path.display().to_string())?;
    let tenths = content.len() / 100_000;
    println!("wrote {} ({}.{} MB)", path.display(), tenths / 10, tenths % 10);
    Ok(())
}

/// How old everything is said to be: `SOURCE_DATE_EPOCH`, or the last commit's time, or 1970 where
/// there is no repository.
fn epoch() -> Result<u64> {
    if let Some(given) = env::var_os("SOURCE_DATE_EPOCH") {
        let text = given.to_string_lossy();
        return text.parse().with_context(|| format!("SOURCE_DATE_EPOCH is no number: {text}"));
    }
    let log = run::output(&mut run::program("git", &["log", "-1", "--format=%ct"]));
    Ok(log.ok().and_then(|time| time.trim().parse().ok()).unwrap_or_default())
}

/// A time as the formats here write it, such as `2023-11-14T22:13:20Z`.
pub(crate) fn rfc3339(epoch: u64) -> Result<String> {
    Ok(jiff::Timestamp::from_second(i64::try_from(epoch)?)?.to_string())
}

/// The triple that this machine's compiler builds for.
fn target() -> Result<String> {
    let said = run::output(&mut run::program("rustc", &["--version", "--verbose"]))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it builds for")?.to_owned())
}

/// This machine's architecture, as images name it.
pub(crate) fn architecture() -> Result<&'static str> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Ok("amd64"),
        ("linux", "aarch64") => Ok("arm64"),
        (system, other) => {
            bail!("images are built on Linux, x86_64 or aarch64, not {system} {other}")
        }
    }
}
