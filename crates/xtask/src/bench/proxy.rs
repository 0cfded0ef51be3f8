//! What routing a request costs, beside what it costs a plain proxy to pass the same request on:
//! CPU time per request of nginx and of the router, before the same canned upstream, from one load
//! generator, in rounds that alternate so that a busy machine hurts both alike.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    load::{self, Exchange, Round},
    process::{Server, free},
};
use crate::{assets, run};

/// How to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Rounds of each
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Seconds of a round
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Connections of the load generator
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Let both write a line of log for each request
    #[arg(long)]
    logs: bool,
    /// Measure this `moniker` instead of a release build of the checkout
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// Bytes of a request's body, and of an answer's.
const BODY: usize = 1024;

/// Measures and prints.
pub(super) fn run(args: &Args) -> Result<()> {
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => built()?,
    };
    let directory = std::env::temp_dir().join(format!("moniker-bench-{}", std::process::id()));
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let measured = measure(args, &binary, &directory);
    let _ = fs::remove_dir_all(&directory);
    measured
}

fn measure(args: &Args, binary: &Path, directory: &Path) -> Result<()> {
    let (upstream, plain, router) = (free()?, free()?, free()?);
    let _canned = nginx(directory, "upstream", upstream, &canned(upstream))?;
    let access = if args.logs {
        directory.join("access.log").display().to_string()
    } else {
        "off".to_owned()
    };
    let nginx = nginx(directory, "proxy", plain, &proxy(plain, upstream, &access))?;
    let moniker = moniker(binary, directory, router, upstream, args.logs)?;

    let exchange = exchange();
    let length = Duration::try_from_secs_f64(args.seconds).context("--seconds")?;
    let contenders = [("nginx", &nginx, plain), ("moniker", &moniker, router)];
    for (name, _, at) in contenders {
        load::run(at, &exchange, args.connections, length.min(Duration::from_secs(1)))
            .with_context(|| format!("{name} at {at}"))?;
    }
    println!(
        "{} connections, {BODY} bytes each way, {} rounds of {} s; the router with Priority over \
         four targets, metrics and headers",
        args.connections, args.rounds, args.seconds
    );
    let mut costs = [Vec::new(), Vec::new()];
    for round in 1..=args.rounds {
        for ((name, server, at), costs) in contenders.iter().zip(&mut costs) {
            let before = server.cpu()?;
            let done = load::run(*at, &exchange, args.connections, length)
                .with_context(|| format!("{name} at {at}"))?;
            let cost = per_request(server.cpu()?.saturating_sub(before), &done);
            println!(
                "round {round}  {name:<8} {cost:6.2} us CPU a request  {:>8.0} requests/s  \
                 p50 {:.2} ms  p99 {:.2} ms",
                rate(&done),
                done.quantile(0.5).as_secs_f64() * 1e3,
                done.quantile(0.99).as_secs_f64() * 1e3,
            );
            costs.push(cost);
        }
    }
    let [nginx, moniker] = costs.map(median);
    println!("median   nginx    {nginx:6.2} us CPU a request");
    println!("median   moniker  {moniker:6.2} us CPU a request");
    println!("ratio    {:.2} (at most 2.0; 1.5 is the aim)", moniker / nginx);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
fn per_request(cpu: Duration, round: &Round) -> f64 {
    cpu.as_secs_f64() * 1e6 / round.requests.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
fn rate(round: &Round) -> f64 {
    round.requests as f64 / round.took.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A chat request of [`BODY`] bytes, and the answer that the canned upstream gives.
fn exchange() -> Exchange {
    let body = padded(
        r#"{"model":"bench","messages":[{"role":"user","content":""#,
        r#""}],"temperature":0.5,"max_tokens":200}"#,
    );
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         authorization: Bearer none\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Exchange { request: (head + &body).into_bytes(), answer: answer().into_bytes() }
}

fn answer() -> String {
    padded(
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"canned","choices":[{"index":0,"message":{"role":"assistant","content":""#,
        r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":150,"total_tokens":350}}"#,
    )
}

fn padded(before: &str, after: &str) -> String {
    let words = "a word and another ".repeat(BODY / 16);
    let room = BODY.saturating_sub(before.len() + after.len());
    format!("{before}{}{after}", &words[..room])
}

/// nginx with this configuration.
fn nginx(directory: &Path, name: &str, at: SocketAddr, http: &str) -> Result<Server> {
    let file = directory.join(format!("{name}.conf"));
    let config = format!(
        "daemon off; worker_processes auto; pid {dir}/{name}.pid; error_log stderr;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ client_body_temp_path {dir}/{name}-body; proxy_temp_path {dir}/{name}-proxy;\n\
         fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
         keepalive_requests 1000000000; tcp_nodelay on;\n{http}\n}}\n",
        dir = directory.display(),
    );
    fs::write(&file, config).with_context(|| file.display().to_string())?;
    let file = file.display().to_string();
    let mut command = run::program("nginx", &["-c", &file, "-e", "stderr"]);
    Server::start(&mut command, &directory.join(format!("{name}.log")), at)
        .context("nginx (Debian package nginx) is needed: cargo xtask setup installs it")
}

fn canned(at: SocketAddr) -> String {
    format!(
        "access_log off;\nserver {{ listen {at}; default_type application/json; \
         location / {{ return 200 '{}'; }} }}",
        answer()
    )
}

/// The plain proxy: connections kept on both sides, nothing else.
fn proxy(at: SocketAddr, upstream: SocketAddr, access: &str) -> String {
    format!(
        "access_log {access};\n\
         upstream canned {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}\n\
         server {{ listen {at}; location / {{ proxy_pass http://canned; \
         proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}"
    )
}

/// The router on a lineup of four targets, all of them the canned upstream.
fn moniker(
    binary: &Path,
    directory: &Path,
    at: SocketAddr,
    upstream: SocketAddr,
    logs: bool,
) -> Result<Server> {
    let lineup = directory.join("lineup.yaml");
    let targets: Vec<String> = (1..=4)
        .map(|n| {
            format!(
                "apiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {{name: t{n}}}\n\
                 spec:\n  provider: OpenAICompatible\n  endpoint: {{url: \"http://{upstream}/v1\"}}\n  \
                 auth: {{type: None}}\n  models: [{{name: canned}}]\n---\n"
            )
        })
        .collect();
    let entries: Vec<String> = (1..=4)
        .map(|n| format!("  - {{name: e{n}, model: canned, providers: [{{name: t{n}}}]}}\n"))
        .collect();
    let alias = format!(
        "apiVersion: moniker.dev/v1alpha1\nkind: ModelAlias\nmetadata: {{name: bench}}\n\
         spec:\n  strategy: {{type: Priority}}\n  targets:\n{}",
        entries.concat()
    );
    fs::write(&lineup, targets.concat() + &alias).with_context(|| lineup.display().to_string())?;
    let (at_text, admin) = (at.to_string(), free()?.to_string());
    let file = lineup.display().to_string();
    let mut command = run::program(
        &binary.display().to_string(),
        &["dev", &file, "--listen", &at_text, "--admin", &admin],
    );
    command.env("RUST_LOG", if logs { "info" } else { "warn" });
    Server::start(&mut command, &directory.join("moniker.log"), at)
}

/// The release build of the checkout, which is made first.
fn built() -> Result<PathBuf> {
    run::run(&mut run::cargo(&["build", "--release", "--package", "moniker"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| assets::workspace().join("target"), PathBuf::from);
    Ok(target.join("release/moniker"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_as_long_as_stated() {
        assert_eq!(answer().len(), BODY);
        let request = String::from_utf8(exchange().request).unwrap();
        assert_eq!(request.split_once("\r\n\r\n").unwrap().1.len(), BODY);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
