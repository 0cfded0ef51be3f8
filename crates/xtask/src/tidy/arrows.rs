//! Crates depend one way: each only on those above it. And some must not know of some things at
//! all, not even through others.

use std::collections::BTreeSet;

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata};

/// The crates of the product, from the top. A crate may depend only on those above it.
const ORDER: &[&str] = &[
    "routing",
    "classify",
    "api",
    "compiler",
    "wire",
    "providers",
    "telemetry",
    "controller",
    "router",
    "dashboard",
    "cli",
    "moniker",
];

/// What is no part of the product: others may have these in their tests only.
const AROUND: &[&str] = &["testkit", "xtask", "e2e", "simulate"];

const RUNTIME: &[&str] = &["tokio", "hyper", "reqwest"];
const CLIENT: &[&str] = &["tokio", "kube-client", "kube-runtime"];
const KUBERNETES: &[&str] = &["kube", "kube-core", "k8s-openapi"];

/// What a crate must not reach, directly or through others: the reason why it can be tested without.
const UNKNOWING: &[(&str, &[&[&str]])] = &[
    ("routing", &[RUNTIME, KUBERNETES, &["http"]]),
    ("classify", &[RUNTIME, KUBERNETES]),
    ("api", &[CLIENT, RUNTIME]),
    ("compiler", &[CLIENT, RUNTIME]),
    ("wire", &[RUNTIME, KUBERNETES]),
    ("providers", &[RUNTIME, KUBERNETES]),
    ("telemetry", &[KUBERNETES]),
    ("controller", &[&["providers", "router"]]),
    ("router", &[KUBERNETES, &["api", "compiler", "controller"]]),
    ("dashboard", &[&["router"]]),
    ("cli", &[&["router", "controller"]]),
];

/// A member of the workspace and what its manifest names.
#[derive(Debug, Default)]
pub(super) struct Member {
    name: String,
    /// What is built with it.
    builds_with: BTreeSet<String>,
    /// What is built with its tests.
    tests_with: BTreeSet<String>,
}

pub(super) fn members(metadata: &Metadata) -> Vec<Member> {
    let packages = metadata.workspace_packages();
    let named = |package: &cargo_metadata::Package, for_tests: bool| {
        let dependencies = package.dependencies.iter();
        let wanted =
            dependencies.filter(|one| (one.kind == DependencyKind::Development) == for_tests);
        wanted.map(|one| one.name.clone()).collect()
    };
    let members = packages.into_iter().map(|package| Member {
        name: package.name.to_string(),
        builds_with: named(package, false),
        tests_with: named(package, true),
    });
    members.collect()
}

/// Arrows that point up or sideways, and crates that nobody placed.
pub(super) fn problems(members: &[Member]) -> Vec<String> {
    let place = |name: &str| ORDER.iter().position(|one| *one == name);
    let mut problems = Vec::new();
    for member in members {
        let name = &member.name;
        if AROUND.contains(&name.as_str()) {
            continue;
        }
        let Some(own) = place(name) else {
            problems.push(format!("{name}: has no place in tidy/arrows.rs: decide who may use it"));
            continue;
        };
        for used in member.builds_with.iter().chain(&member.tests_with) {
            if place(used).is_some_and(|used| used >= own) {
                problems.push(format!("{name}: may not depend on {used}, which is below it"));
            }
        }
        for used in &member.builds_with {
            if AROUND.contains(&used.as_str()) {
                problems.push(format!("{name}: may have {used} in [dev-dependencies] only"));
            }
        }
    }
    problems
}

/// Crates that reach what they must not know. `reach` gives all that is built with a crate when it
/// is built alone, or nothing for a crate that does not exist.
pub(super) fn unknowing(reach: impl Fn(&str) -> Result<BTreeSet<String>>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (name, unknown) in UNKNOWING {
        let reached = reach(name)?;
        for found in unknown.iter().copied().flatten().filter(|one| reached.contains(**one)) {
            let hint = format!("`cargo tree -p {name} -e normal -i {found}` shows the way");
            problems.push(format!("{name}: must not know of {found}: {hint}"));
        }
    }
    Ok(problems)
}

/// Asks cargo.
pub(super) fn reach(name: &str) -> Result<BTreeSet<String>> {
    if !crate::assets::workspace().join("crates").join(name).exists() {
        return Ok(BTreeSet::new());
    }
    let mut names = super::tree(&["--package", name, "--edges", "normal"])?;
    names.remove(name);
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn member(name: &str, builds_with: &[&str], tests_with: &[&str]) -> Member {
        let (builds_with, tests_with) = (names(builds_with), names(tests_with));
        Member { name: name.to_owned(), builds_with, tests_with }
    }

    #[test]
    fn an_arrow_that_points_down_is_found() {
        let fine = [
            member("routing", &["serde"], &["proptest", "testkit"]),
            member("router", &["routing", "wire"], &["testkit"]),
            member("xtask", &["api"], &[]),
        ];
        assert_eq!(problems(&fine), Vec::<String>::new());
        let found = problems(&[member("wire", &["router"], &["cli"])]).join("\n");
        assert!(found.contains("wire: may not depend on router"), "{found}");
        assert!(found.contains("wire: may not depend on cli"), "{found}");
    }

    #[test]
    fn test_tools_in_the_product_and_unplaced_crates_are_found() {
        let found = problems(&[member("api", &["testkit"], &[]), member("helpers", &[], &[])]);
        let found = found.join("\n");
        assert!(found.contains("api: may have testkit in [dev-dependencies] only"), "{found}");
        assert!(found.contains("helpers: has no place"), "{found}");
    }

    #[test]
    fn what_is_reached_through_others_is_found() {
        let found = unknowing(|name| {
            Ok(if name == "router" { names(&["tokio", "kube-core"]) } else { names(&["serde"]) })
        });
        let found = found.unwrap().join("\n");
        assert!(found.starts_with("router: must not know of kube-core"), "{found}");
        assert!(!found.contains('\n'), "the router may have tokio: {found}");
    }

    #[test]
    fn cargo_tells_what_a_crate_reaches() {
        let reached = reach("testkit").unwrap();
        assert!(reached.contains("tokio") && reached.contains("kube-client"), "{reached:?}");
        assert!(!reached.contains("testkit") && !reached.contains("clap"), "{reached:?}");
        assert!(reach("no-such-crate").unwrap().is_empty());
    }
}
