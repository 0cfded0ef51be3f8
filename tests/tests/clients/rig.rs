//! Lineups over demo upstreams, and programs that are run against them.

use std::{fmt::Write as _, path::PathBuf, process::Command};

use testkit::{demo::Demo, programs};

/// A dialect: the protocol of the demo upstream, and the provider in the lineup.
pub(crate) struct Dialect {
    pub(crate) name: &'static str,
    provider: &'static str,
}

/// Every one that a lineup can have.
pub(crate) const DIALECTS: &[Dialect] = &[
    Dialect { name: "openai", provider: "OpenAICompatible" },
    Dialect { name: "anthropic", provider: "Anthropic" },
    Dialect { name: "gemini", provider: "Gemini" },
];

impl Dialect {
    /// A demo upstream that speaks it.
    pub(crate) async fn demo(&self, args: &[&str]) -> Demo {
        Demo::start(self.name, args).await.unwrap()
    }

    /// A ProviderTarget of this name, whose model `m` can do everything.
    pub(crate) fn target(&self, name: &str, url: &str) -> String {
        format!(
            "---\napiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {{name: {name}}}\n\
             spec:\n  provider: {}\n  endpoint: {{url: \"{url}\"}}\n  auth: {{type: None}}\n  \
             models:\n  - name: m\n    upstreamName: demo-{name}\n    \
             capabilities: [Chat, Streaming, Tools, Vision, Documents, JsonSchema, Reasoning]\n",
            self.provider
        )
    }
}

/// An alias that asks these targets in this order.
pub(crate) fn alias(name: &str, targets: &[&str], more: &str) -> String {
    let mut text = format!(
        "---\napiVersion: moniker.dev/v1alpha1\nkind: ModelAlias\nmetadata: {{name: {name}}}\nspec:\n  \
         strategy: {{type: Priority}}\n{more}  targets:\n"
    );
    for target in targets {
        writeln!(text, "  - {{name: {target}, model: m, providers: [{{name: {target}}}]}}")
            .unwrap();
    }
    text
}

/// A script of `tests/python` with an interpreter that has the packages of `tests/python/NAME.txt`.
pub(crate) fn python(environment: &str, script: &str) -> Command {
    let mut command = Command::new(programs::python(environment).unwrap());
    command.arg(format!("{}/python/{script}", env!("CARGO_MANIFEST_DIR")));
    command
}

/// A script of `tests/node`, put where it finds its packages for as long as the directory lives.
pub(crate) fn node(script: &str) -> (Command, tempfile::TempDir) {
    let (node, packages) = programs::node().unwrap();
    let directory = tempfile::tempdir_in(packages).unwrap();
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("node").join(script);
    let there = directory.path().join(script);
    std::fs::copy(here, &there).unwrap();
    let mut command = Command::new(node);
    command.arg(there);
    (command, directory)
}

/// Runs it to its end; what it printed, once it is fine.
pub(crate) async fn run(mut command: Command) -> Result<String, String> {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{text}\n{errors}")) }
}
