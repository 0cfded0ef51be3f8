//! A Node of the tests' own, with the SDKs that the product's users have, pinned by hash. The
//! interpreter is one of the packages, since the SDKs ask for a newer one than Debian has.

use std::fs;

use anyhow::{Context, Result};

use crate::{assets, run};

/// Makes the environment, unless it is there.
pub(super) fn install() -> Result<()> {
    let directory = assets::node()?;
    // Written last: an environment without it was broken off half-way.
    let complete = directory.join("complete");
    let given = std::env::var_os("MONIKER_TEST_NODE").is_some();
    if complete.exists() || (given && assets::node_program(&directory).exists()) {
        return Ok(());
    }
    let at = |what: &std::path::Path| what.display().to_string();
    println!("installing the Node SDKs into {}", at(&directory));
    fs::create_dir_all(&directory).with_context(|| at(&directory))?;
    for file in ["package.json", "package-lock.json"] {
        let from = assets::workspace().join("tests/node").join(file);
        fs::copy(&from, directory.join(file)).with_context(|| at(&from))?;
    }
    // No package's own program runs, and `ci` takes what the lock says or nothing.
    let quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let prefix = at(&directory);
    let arguments = [&["ci", "--prefix", &prefix][..], &quiet].concat();
    run::run(&mut run::program("npm", &arguments)).context("install Debian's npm")?;
    fs::write(&complete, "").with_context(|| at(&complete))
}
