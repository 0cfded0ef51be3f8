//! Lineups over demo upstreams, and programs that are run against them.

use std::{
    fmt::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use testkit::{demo::Demo, programs};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

/// The longest that a program is waited for; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A dialect: the protocol of the demo upstream, the provider in the lineup, and the endpoints that
/// its models have.
pub(crate) struct Dialect {
    pub(crate) name: &'static str,
    provider: &'static str,
    /// What the provider wants to know beside its address.
    options: &'static str,
    endpoints: &'static str,
}

/// Every one that a lineup can have.
pub(crate) const DIALECTS: &[Dialect] = &[
    Dialect::new("openai", "OpenAICompatible", "", "Chat, Embeddings"),
    Dialect::new("openai-responses", "OpenAI", "", "Responses"),
    Dialect::new("anthropic", "Anthropic", "", "Chat"),
    Dialect::new("gemini", "Gemini", "", "Chat, Embeddings"),
    Dialect::new("bedrock", "Bedrock", "  bedrock: {region: eu-west-1}\n", "Chat"),
];

/// What has a form in one dialect alone.
pub(crate) const OTHERS: Dialect =
    Dialect::new("others", "OpenAI", "", "Images, Moderations, Speech");

impl Dialect {
    const fn new(
        name: &'static str,
        provider: &'static str,
        options: &'static str,
        endpoints: &'static str,
    ) -> Self {
        Self { name, provider, options, endpoints }
    }

    /// A demo upstream that speaks it.
    pub(crate) async fn demo(&self, args: &[&str]) -> Demo {
        Demo::start(self.name, args).await.unwrap()
    }

    /// The path of its streams, as far as it tells the dialect.
    pub(crate) fn path(&self) -> &'static str {
        match self.name {
            "openai-responses" => "/responses",
            "anthropic" => "/messages",
            "gemini" => ":streamGenerateContent",
            "bedrock" => "/converse-stream",
            _ => "/chat/completions",
        }
    }

    /// The media type of its streams.
    pub(crate) fn stream(&self) -> &'static str {
        match self.name {
            "bedrock" => "application/vnd.amazon.eventstream",
            _ => "text/event-stream",
        }
    }

    /// A ProviderTarget of this name, whose model `m` can do everything.
    pub(crate) fn target(&self, name: &str, url: &str) -> String {
        format!(
            "---\napiVersion: moniker.dev/v1alpha1\nkind: ProviderTarget\nmetadata: {{name: {name}}}\n\
             spec:\n  provider: {}\n{}  endpoint: {{url: \"{url}\"}}\n  auth: {{type: None}}\n  \
             models:\n  - name: m\n    upstreamName: demo-{name}\n    \
             capabilities: [{}, Streaming, Tools, Vision, Documents, JsonSchema, Reasoning]\n",
            self.provider, self.options, self.endpoints
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

/// A program that says by a line where it is, for a test that does something meanwhile.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    pub(crate) fn start(command: Command) -> Self {
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it says this next.
    pub(crate) async fn says(&mut self, line: &str) {
        match timeout(PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(said))) => assert_eq!(said, line),
            Ok(Ok(None)) => panic!("it ended before {line:?}: {}", self.errors().await),
            other => panic!("no {line:?}: {other:?}"),
        }
    }

    /// Tells it to go on.
    pub(crate) async fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").await.unwrap();
    }

    /// Waits until it has ended well.
    pub(crate) async fn ends(mut self) {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{}", self.errors().await);
    }

    async fn errors(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
        text
    }
}
