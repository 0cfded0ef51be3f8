//! A Python of the tests' own, with the SDKs that the product's users have, pinned by hash.

use std::fs;

use anyhow::{Context, Result};

use crate::{assets, run};

/// Makes the environment, unless it is there.
pub(super) fn install() -> Result<()> {
    let python = assets::python()?;
    let Some(environment) = python.parent().and_then(|bin| bin.parent()) else { return Ok(()) };
    // Written last: an environment without it was broken off half-way.
    let complete = environment.join("complete");
    if complete.exists() || (std::env::var_os("MONIKER_TEST_PYTHON").is_some() && python.exists()) {
        return Ok(());
    }
    let path = environment.display().to_string();
    println!("installing the Python SDKs into {path}");
    run::run(&mut run::program("python3", &["-m", "venv", "--clear", &path]))
        .context("a Python environment cannot be made: install Debian's python3-venv")?;
    let requirements = "tests/python/requirements.txt";
    let python = python.display().to_string();
    let pip =
        ["-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", requirements];
    run::run(&mut run::program(&python, &pip))?;
    fs::write(&complete, "").with_context(|| complete.display().to_string())
}
