//! `simulate`: runs the worlds and prints the table. `cargo xtask simulate` builds it with
//! optimisation and starts it.
#![expect(clippy::print_stdout, reason = "it talks to whoever started it")]

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use serde::Serialize;
use simulate::{
    health::Rule,
    policy::{ALL, Named},
    report::{Report, simulate},
    table::table,
    world::{World, file, named, random},
};

/// Simulate routing strategies in worlds that drift, brown out, hang and refuse
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Args {
    /// Seeds: A..B is from A to B-1, and a number alone is that one
    #[arg(long, default_value = "200..202", value_parser = seeds)]
    seeds: Seeds,
    /// Worlds from a JSON file instead of the named and the random ones
    #[arg(long)]
    worlds: Option<PathBuf>,
    /// Only the worlds whose names begin so, with commas between
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these policies, with commas between
    #[arg(long, value_delimiter = ',')]
    policies: Vec<String>,
    /// So many routers in every world, under the same load
    #[arg(long)]
    routers: Option<usize>,
    /// Which rule ejects targets
    #[arg(long, default_value = "product")]
    ejection: Rule,
    /// What is printed
    #[arg(short, long, default_value = "text")]
    output: Output,
}

#[derive(Clone, Debug)]
struct Seeds(Vec<u64>);

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// All that was run, as JSON: the named worlds (or the file's), and the sets of random ones.
#[derive(Serialize)]
struct All {
    #[serde(flatten)]
    report: Report,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    random: Vec<Report>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn seeds(text: &str) -> Result<Seeds> {
    let number = |text: &str| {
        text.trim().parse::<u64>().with_context(|| format!("{text:?} is no whole number"))
    };
    let seeds: Vec<u64> = match text.split_once("..") {
        Some((from, to)) => (number(from)?..number(to)?).collect(),
        None => vec![number(text)?],
    };
    ensure!(!seeds.is_empty(), "{text:?} holds no seed: write A..B with A below B");
    Ok(Seeds(seeds))
}

fn policies(names: &[String]) -> Result<Vec<Named>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let find = |name: &String| {
        let found = ALL.iter().find(|policy| policy.name.eq_ignore_ascii_case(name));
        found.copied().with_context(|| {
            let known: Vec<&str> = ALL.iter().map(|policy| policy.name).collect();
            format!("there is no policy {name:?}: there are {}", known.join(", "))
        })
    };
    names.iter().map(find).collect()
}

/// The sets of worlds that are asked for, with a title each.
fn sets(args: &Args) -> Result<Vec<(String, Vec<World>)>> {
    let mut sets = Vec::new();
    if let Some(path) = &args.worlds {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let worlds = file::parse(&text).with_context(|| path.display().to_string())?;
        sets.push((path.display().to_string(), worlds));
    } else {
        sets.push(("Named worlds".to_owned(), named::all()));
        for number in 0..3 {
            sets.push((format!("Random worlds, set {number}"), random::set(number)));
        }
    }
    for (_, worlds) in &mut sets {
        worlds.retain(|world| {
            let begins = |prefix: &String| {
                world.name == *prefix
                    || world.name.starts_with(&format!("{prefix}_"))
                    || world.name.starts_with(&format!("{prefix}."))
            };
            args.only.is_empty() || args.only.iter().any(begins)
        });
        if let Some(routers) = args.routers {
            ensure!(routers > 0, "there must be a router");
            *worlds = std::mem::take(worlds).into_iter().map(|w| w.with_routers(routers)).collect();
        }
    }
    sets.retain(|(_, worlds)| !worlds.is_empty());
    if sets.is_empty() {
        bail!("no world has such a name: try S1, S2 ... S13, R0, R1, R2");
    }
    Ok(sets)
}

fn run(args: &Args) -> Result<()> {
    let policies = policies(&args.policies)?;
    let sets = sets(args)?;
    let begun = Instant::now();
    let mut reports = Vec::new();
    for (title, worlds) in &sets {
        let report = simulate(worlds, &policies, &args.seeds.0, args.ejection);
        if matches!(args.output, Output::Text) {
            println!("{title}, {} seeds, regret in percent:\n", report.seeds.len());
            println!("{}", table(&report, &policies));
        }
        reports.push(report);
    }
    match args.output {
        Output::Text => println!("{:.1} s", begun.elapsed().as_secs_f64()),
        Output::Json => {
            let report = reports.remove(0);
            let all = All { report, random: reports };
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
    }
    Ok(())
}
