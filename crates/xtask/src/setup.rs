//! `cargo xtask setup`: what the tests need beyond Cargo. What is there is kept, so a second run
//! takes a second; whatever is built lies in the user's cache directory, not in the checkout.

pub(crate) mod deny;
mod go;
mod node;
mod packages;
mod python;

use anyhow::Result;

use crate::cluster;

/// Everything: for tests, measurements and checks.
pub(crate) fn run() -> Result<()> {
    packages::install(packages::ALL)?;
    go::build()?;
    for why in cluster::host::missing() {
        println!("no cluster on this machine: {why}");
    }
    if cluster::host::missing().is_empty() {
        node()?;
        argo_cd()?;
    }
    python::install()?;
    node::install()?;
    if let Err(why) = deny::install() {
        println!("{why:#}");
    }
    println!("ready: `cargo xtask test` can run");
    Ok(())
}

/// The Debian packages that tests need, which take seconds.
pub(crate) fn packages_for_tests() -> Result<()> {
    packages::install(packages::TESTS)
}

/// What a cluster's node is made of: packages, and programs beyond those of the control plane.
pub(crate) fn node() -> Result<()> {
    packages::install(packages::NODE)?;
    go::build()?;
    go::build_node()
}

/// What the tests of GitOps run beside a node.
pub(crate) fn argo_cd() -> Result<()> {
    packages::install(packages::ARGO_CD)?;
    go::build_argo_cd()
}

/// What the end-to-end tests run, the control plane only if they start it.
pub(crate) fn programs_for_tests(control_plane: bool) -> Result<()> {
    if control_plane {
        go::build()?;
    }
    python::install()?;
    node::install()
}
