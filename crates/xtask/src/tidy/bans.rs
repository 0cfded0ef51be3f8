//! Crates that `deny.toml` bans are not in the graph. cargo-deny checks this too; this check needs
//! no tool but Cargo.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The names in `bans.deny`.
pub(super) fn banned(root: &Path) -> Result<BTreeSet<String>> {
    let file = root.join("deny.toml");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    parse(&text).context("deny.toml")
}

fn parse(text: &str) -> Result<BTreeSet<String>> {
    let config: toml::Table = text.parse()?;
    let entries = config.get("bans").and_then(|bans| bans.get("deny")?.as_array());
    let Some(entries) = entries else { bail!("has no list bans.deny") };
    let name = |entry: &toml::Value| {
        let name =
            entry.as_str().or_else(|| entry.get("crate").or_else(|| entry.get("name"))?.as_str());
        let name =
            name.with_context(|| format!("an entry of bans.deny names no crate: {entry}"))?;
        Ok(name.split(['@', ':']).next().unwrap_or(name).to_owned())
    };
    entries.iter().map(name).collect()
}

/// All crates that are built for some member on some platform.
pub(super) fn resolved() -> Result<BTreeSet<String>> {
    super::tree(&["--workspace", "--edges", "all", "--target", "all"])
}

pub(super) fn problems(banned: &BTreeSet<String>, resolved: &BTreeSet<String>) -> Vec<String> {
    let found = banned.intersection(resolved);
    found.map(|name| format!("{name}: banned by deny.toml, but in the graph")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_in_the_graph_is_found() {
        let text =
            r#"bans.deny = ["ring", { crate = "openssl@0.10", reason = "C" }, { name = "x" }]"#;
        let banned = parse(text).unwrap();
        assert_eq!(banned.iter().collect::<Vec<_>>(), ["openssl", "ring", "x"]);
        let graph = ["serde".to_owned(), "ring".to_owned()].into();
        assert_eq!(problems(&banned, &graph), ["ring: banned by deny.toml, but in the graph"]);
        assert_eq!(problems(&banned, &["serde".to_owned()].into()), Vec::<String>::new());
    }

    #[test]
    fn a_list_that_is_not_understood_is_an_error() {
        parse("[bans]\nallow = []").unwrap_err();
        parse("bans.deny = [{ reason = \"none\" }]").unwrap_err();
    }

    #[test]
    fn the_graph_is_that_of_the_workspace() {
        let resolved = resolved().unwrap();
        assert!(resolved.contains("tokio") && resolved.contains("testkit"));
    }
}
