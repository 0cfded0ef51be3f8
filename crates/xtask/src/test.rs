//! `cargo xtask test`: every check and every test, the cheap ones first, up to the first failure.

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::MetadataCommand;

use crate::run::Tests;
use crate::{assets, cluster, image, namespace, run, setup, tidy};

/// The test target that needs an API server.
const CLUSTER: &str = "cluster";
/// The test targets that need a node, which not every machine can run: each has a cluster of its own.
const NODE: [&str; 2] = ["node", "argocd"];

/// Crates that are used without the rest of the workspace, or must not need it: built alone, so
/// that a feature that another crate turns on cannot hide that one is missing.
const ALONE: &[&str] = &["routing", "api", "compiler", "wire", "providers", "router"];

/// How to call it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// Leave out the tests that start a Kubernetes API server or a node
    #[arg(long)]
    fast: bool,

    /// Run the tests that need a node, and nothing else
    #[arg(long, conflicts_with = "fast")]
    node: bool,
}

/// Runs all of it.
pub(crate) fn run(args: Args) -> Result<()> {
    let mut run = Run { started: Instant::now(), tests: Tests::default(), passed: Vec::new() };
    let result = steps(args, &mut run);
    let Tests { passed, failed, ignored } = run.tests;
    println!();
    println!("checks passed: {}", run.passed.join(", "));
    println!("{passed} passed, {failed} failed, {ignored} skipped");
    let seconds = run.started.elapsed().as_secs();
    match &result {
        Ok(()) => println!("everything passed in {seconds} s"),
        Err(_) => println!("stopped after {seconds} s by the failure of"),
    }
    result
}

struct Run {
    started: Instant,
    tests: Tests,
    passed: Vec<String>,
}

impl Run {
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Tests) -> Result<()>) -> Result<()> {
        let started = Instant::now();
        println!("\n=== {name}");
        work(&mut self.tests).with_context(|| name.to_owned())?;
        self.passed.push(format!("{name} ({} s)", started.elapsed().as_secs()));
        Ok(())
    }
}

fn steps(args: Args, run: &mut Run) -> Result<()> {
    if args.node {
        return run.step("tests on a node", on_a_node);
    }
    run.step("packages", |_| setup::packages_for_tests())?;
    run.step("format", |_| run::run(&mut run::cargo(&["fmt", "--all", "--check"])))?;
    run.step("lints", |_| {
        let args = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run::run(&mut run::cargo(&args))
    })?;
    run.step("crates alone", |_| {
        ALONE.iter().try_for_each(|name| {
            run::run(&mut run::cargo(&["check", "--quiet", "--package", name]))
        })
    })?;
    run.step("tidy", |_| tidy::run())?;
    run.step("unit tests", |tests| {
        let args = ["test", "--quiet", "--workspace", "--exclude", "e2e"];
        run::tests(&mut run::cargo(&args), tests)
    })?;
    run.step("test programs", |_| setup::programs_for_tests(!args.fast))?;
    run.step("end-to-end tests", |tests| end_to_end(args, tests))?;
    run.step("licences, bans and sources", |_| deny())?;
    if args.fast { Ok(()) } else { run.step("tests on a node", on_a_node) }
}

/// Built outside the namespace, where Cargo may download; run inside.
fn end_to_end(args: Args, tests: &mut Tests) -> Result<()> {
    namespace::check()?;
    let targets = targets(args.fast)?;
    if targets.is_empty() {
        println!("no test target but {CLUSTER}");
        return Ok(());
    }
    // The whole workspace again, so that nothing is compiled a second time with other features.
    let mut test = vec!["test", "--workspace"];
    for target in &targets {
        test.extend(["--test", target]);
    }
    run::run(&mut run::cargo(&["build", "--package", "moniker"]))?;
    run::run(&mut run::cargo(&[&test[..], &["--no-run"]].concat()))?;
    run::tests(&mut namespace::wrap(&run::cargo(&[&test[..], &["--offline"]].concat())), tests)
}

/// On a cluster of this run's own, within its network, with the image of this very build.
fn on_a_node(tests: &mut Tests) -> Result<()> {
    let missing = cluster::host::missing();
    if !missing.is_empty() {
        println!("skipped: the test targets {}: {}", NODE.join(", "), missing.join("; "));
        return Ok(());
    }
    setup::node()?;
    setup::argo_cd()?;
    let mut build = vec!["test", "--workspace", "--no-run"];
    for target in NODE {
        build.extend(["--test", target]);
    }
    run::run(&mut run::cargo(&build))?;
    let image = image::dev()?;
    // All of them at once: they wait for pods more than they work.
    let mut clusters = Vec::new();
    for target in NODE {
        let cluster = cluster::Temporary::start(target)?;
        cluster.load(&image)?;
        clusters.push((target, cluster));
    }
    let one = |(target, cluster): &(&str, cluster::Temporary)| {
        let test = ["test", "--workspace", "--offline", "--test", target];
        let mut counted = Tests::default();
        let mut inside = cluster.inside(&run::cargo(&test))?;
        let passed = run::tests_beside(&format!("{target}: "), &mut inside, &mut counted);
        Ok((counted, passed))
    };
    let ended: Vec<Result<(Tests, Result<()>)>> = thread::scope(|scope| {
        let running: Vec<_> = clusters.iter().map(|cluster| scope.spawn(|| one(cluster))).collect();
        let lost = |_| Err(anyhow!("a thread that ran tests was lost"));
        running.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
    });
    let mut all = Ok(());
    for ended in ended {
        let (counted, passed) = ended?;
        tests.and(counted);
        all = all.and(passed);
    }
    all
}

/// The test targets of the package `e2e` that run without a node.
fn targets(fast: bool) -> Result<Vec<String>> {
    let manifest = assets::workspace().join("tests/Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec()?;
    let package = metadata.packages.iter().find(|package| package.name == "e2e");
    let package = package.context("the workspace has no package e2e")?;
    let tests = package.targets.iter().filter(|target| target.is_test());
    let names: Vec<_> = tests.map(|target| target.name.clone()).collect();
    if !names.iter().any(|name| name == CLUSTER) {
        bail!("the package e2e has no test target {CLUSTER}");
    }
    let here = |name: &String| !NODE.contains(&&**name) && (!fast || name != CLUSTER);
    Ok(names.into_iter().filter(here).collect())
}

fn deny() -> Result<()> {
    if let Err(why) = setup::deny::install() {
        println!("skipped: {why:#}");
        return Ok(());
    }
    let program = setup::deny::path()?.display().to_string();
    let check = ["--workspace", "check", "--hide-inclusion-graph"];
    let always = ["bans", "licenses", "sources"];
    run::run(&mut run::program(&program, &[&check[..], &always].concat()))?;
    // The database of advisories is a git repository that not every machine reaches.
    if run::output(&mut run::program("timeout", &["30", &program, "fetch", "db"])).is_err() {
        println!("skipped: advisories, because their database cannot be reached");
        return Ok(());
    }
    run::run(&mut run::program(&program, &[&check[..], &["advisories"]].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_leaves_out_what_needs_an_api_server_and_nothing_else() {
        let mut all = targets(false).unwrap();
        let fast = targets(true).unwrap();
        assert!(!fast.iter().any(|name| name == CLUSTER));
        all.retain(|name| name != CLUSTER);
        assert_eq!(all, fast);
    }
}
