//! `cargo xtask tidy`: the rules of the house that no compiler holds. Each rule is a pure function
//! from what it looks at to a list of problems, with a test that it can find one.

mod arrows;
mod bans;
mod files;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::{assets, crds, docs, run};

/// Checks everything and lists all problems at once.
pub(crate) fn run() -> Result<()> {
    let problems = problems()?;
    if problems.is_empty() {
        println!("tidy: nothing to complain of");
        return Ok(());
    }
    bail!("{} problems:\n{}", problems.len(), problems.join("\n"))
}

fn problems() -> Result<Vec<String>> {
    let root = assets::workspace();
    let mut problems = arrows::problems(&arrows::members(&metadata()?));
    problems.extend(arrows::unknowing(arrows::reach)?);
    problems.extend(bans::problems(&bans::banned(root)?, &bans::resolved()?));
    problems.extend(files::problems(root)?);
    for files in crds::files() {
        problems.extend(files.stale(root)?);
    }
    problems.extend(docs::files().stale(root)?);
    Ok(problems)
}

fn metadata() -> Result<Metadata> {
    let manifest = assets::workspace().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).exec().context("cargo metadata")
}

/// The names of the crates in a dependency tree. Cargo's metadata cannot tell: it has the features
/// of the whole workspace, and optional dependencies that nothing turns on.
fn tree(args: &[&str]) -> Result<BTreeSet<String>> {
    let plain = ["tree", "--prefix", "none", "--color", "never"];
    let tree = run::output(&mut run::cargo(&[&plain[..], args].concat()))?;
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let problems = super::problems().unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
