//! `moniker validate`: everything that can be said of the files without a cluster, for CI.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args as ClapArgs, ValueEnum};
use compiler::{Namespaces, Settings, compile};
use serde::Serialize;

use crate::load::{self, Options, Problem, Severity, Stage};

/// Everything is fine, or there are warnings alone.
pub const FINE: u8 = 0;
/// Something is wrong with the objects.
pub const WRONG: u8 = 1;
/// A file cannot be read, or holds none.
pub const WRONG_USE: u8 = 2;

/// Checks YAML files without a cluster: fields, rules, and how the objects fit together.
///
/// Secrets, ConfigMaps and Services that are not among the files are taken to be in the cluster.
/// Exit code: 0 fine, 1 something is wrong, 2 wrong use.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Files, directories (all of their .yaml, .yml and .json), or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// What is printed.
    #[arg(short = 'o', long, env = "MONIKER_OUTPUT", value_enum, default_value = "text")]
    pub output: Output,

    /// Accept what `moniker dev` accepts: plain HTTP, loopback, and nothing but the files.
    #[arg(long, env = "MONIKER_DEV")]
    pub dev: bool,

    /// The namespace of objects that name none.
    #[arg(
        long,
        env = "MONIKER_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "default",
        value_parser = api::common::namespace
    )]
    pub namespace: String,

    /// The cluster's DNS domain, whose hosts no url may name.
    #[arg(
        long,
        env = "MONIKER_CLUSTER_DOMAIN",
        value_name = "DOMAIN",
        default_value = "cluster.local"
    )]
    pub cluster_domain: String,

    /// The namespaces that may export, as the controller is told, separated by commas. Default: all.
    #[arg(
        long,
        env = "MONIKER_EXPORTING_NAMESPACES",
        value_name = "NAMESPACES",
        value_delimiter = ',',
        value_parser = api::common::namespace
    )]
    pub exporting_namespaces: Vec<String>,

    /// The namespaces that may use the routers' own identity, as the controller is told, separated by
    /// commas. Default: all.
    #[arg(
        long,
        env = "MONIKER_WORKLOAD_IDENTITY_NAMESPACES",
        value_name = "NAMESPACES",
        value_delimiter = ',',
        value_parser = api::common::namespace
    )]
    pub workload_identity_namespaces: Vec<String>,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line for each problem, and a line that sums up.
    Text,
    /// One JSON object.
    Json,
}

/// The JSON form.
#[derive(Debug, Serialize)]
struct Report {
    files: usize,
    objects: usize,
    errors: usize,
    warnings: usize,
    problems: Vec<Problem>,
}

/// Checks the files, prints what is wrong, and gives the exit code.
pub fn run(args: &Args, out: &mut dyn Write) -> u8 {
    let report = check(args);
    let written = match args.output {
        Output::Text => text(&report, out),
        Output::Json => json(&report, out),
    };
    let unread = report.problems.iter().any(|problem| problem.stage == Stage::File);
    match (unread, report.errors) {
        (true, _) => WRONG_USE,
        (false, 0) if written.is_ok() => FINE,
        _ => WRONG,
    }
}

/// These namespaces; all of them where none is named.
fn all_or(named: &[String]) -> Namespaces {
    let named: BTreeSet<_> = named.iter().cloned().collect();
    if named.is_empty() { Namespaces::All } else { Namespaces::Named(named) }
}

fn check(args: &Args) -> Report {
    let settings = Settings {
        exporting_namespaces: all_or(&args.exporting_namespaces),
        workload_identity_namespaces: all_or(&args.workload_identity_namespaces),
        cluster_domain: args.cluster_domain.clone(),
        dev: args.dev,
        ..Settings::default()
    };
    let options = Options { namespace: args.namespace.clone(), settings, ..Options::default() };
    let mut loaded = load::load(&args.paths, options);
    let mut problems = std::mem::take(&mut loaded.problems);
    // An object that is not accepted is missing everywhere else: to say so would only distract.
    if problems.is_empty() {
        let findings = compile(&loaded.world()).findings;
        problems.extend(findings.iter().map(|finding| loaded.problem(finding)));
    }
    let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    Report { files: loaded.files(), objects: loaded.objects(), errors, warnings, problems }
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for problem in &report.problems {
        writeln!(out, "{problem}")?;
    }
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let (files, objects) = (count(report.files, "file"), count(report.objects, "object"));
    match (report.errors, report.warnings) {
        (0, 0) => writeln!(out, "{files}, {objects}: all fine"),
        (errors, warnings) => {
            let (errors, warnings) = (count(errors, "error"), count(warnings, "warning"));
            writeln!(out, "{files}, {objects}: {errors}, {warnings}")
        }
    }
}

fn json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}
