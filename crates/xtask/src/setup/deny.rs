//! cargo-deny, which checks licences, banned crates and sources as `deny.toml` says.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{assets, run};

const VERSION: &str = "0.20.2";

/// Where the cache has it.
pub(crate) fn path() -> Result<PathBuf> {
    Ok(root()?.join("bin/cargo-deny"))
}

fn root() -> Result<PathBuf> {
    Ok(assets::cache()?.join(format!("tools-cargo-deny-{VERSION}")))
}

/// Builds it, unless it is there.
pub(crate) fn install() -> Result<()> {
    if path()?.is_file() {
        return Ok(());
    }
    println!("building cargo-deny {VERSION}, once, about 5 min on two cores");
    let root = root()?.display().to_string();
    let version = format!("cargo-deny@{VERSION}");
    let args = ["install", "--quiet", "--locked", "--root", &root, &version];
    run::run(run::cargo(&args).env_remove("CARGO_TARGET_DIR"))
        .context("cargo-deny cannot be built, so it will not run")
}
