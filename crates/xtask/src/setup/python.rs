//! Pythons of the tests' own, with the SDKs that the product's users have and a provider that others
//! wrote, each in an environment of its own, pinned by hash.

use std::fs;

use anyhow::{Context, Result};

use crate::{assets, run};

/// Makes the environments that are not there.
pub(super) fn install() -> Result<()> {
    assets::PYTHONS.iter().try_for_each(|name| environment(name))
}

fn environment(name: &str) -> Result<()> {
    let python = assets::python(name)?;
    let Some(environment) = python.parent().and_then(|bin| bin.parent()) else { return Ok(()) };
    // Written last: an environment without it was broken off half-way.
    let complete = environment.join("complete");
    if complete.exists() || (std::env::var_os("MONIKER_TEST_PYTHON").is_some() && python.exists()) {
        return Ok(());
    }
    let path = environment.display().to_string();
    println!("installing the Python packages of {name}.txt into {path}");
    run::run(&mut run::program("python3", &["-m", "venv", "--clear", &path]))
        .context("a Python environment cannot be made: install Debian's python3-venv")?;
    let requirements = format!("tests/python/{name}.txt");
    let python = python.display().to_string();
    let pip =
        ["-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", &requirements];
    run::run(&mut run::program(&python, &pip))?;
    fs::write(&complete, "").with_context(|| complete.display().to_string())
}
