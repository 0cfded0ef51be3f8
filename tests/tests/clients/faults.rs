//! What applications notice when providers fail: each SDK, over providers of every dialect that
//! refuse, break off in the middle of a stream, or die.

use bytes::Bytes;
use testkit::{
    moniker::Moniker,
    upstream::{Script, Speech, Step, Upstream},
};

use crate::rig::{DIALECTS, Dialect, Program, alias, node, python};

/// Providers, each with the name of its target, behind one router.
struct World {
    moniker: Moniker,
    upstreams: Vec<(String, Upstream)>,
}

fn said() -> Speech {
    Speech::text("one two three four")
}

/// The beginning of a stream, and then this.
fn begun(dialect: &Dialect, then: Step) -> Script {
    let events = said().events(dialect.path());
    let half = events.len() / 2;
    Script::pieces_then(dialect.stream(), events.into_iter().take(half), [then])
}

impl World {
    async fn start() -> Self {
        let (mut lineup, mut upstreams) = (String::new(), Vec::new());
        let mut add = async |dialect: &Dialect, name: &str, script: Script, more: &str| {
            let upstream = Upstream::start().await.unwrap();
            upstream.always(script);
            let target = dialect.target(name, &upstream.url());
            lineup.push_str(&target.replace("  models:\n", &format!("{more}  models:\n")));
            upstreams.push((name.to_owned(), upstream));
        };
        for dialect in DIALECTS {
            let name = |what: &str| format!("{what}-{}", dialect.name);
            let body_ends = Step::Send(Bytes::from_static(b"0\r\n\r\n"));
            add(dialect, &name("cut"), begun(dialect, Step::Close), "").await;
            add(dialect, &name("short"), begun(dialect, body_ends), "").await;
            add(dialect, &name("dying"), begun(dialect, Step::Stall), "").await;
            add(dialect, &name("dead"), Script::hang(), "").await;
            add(dialect, &name("alive"), said().script(), "").await;
        }
        let [chat, ..] = DIALECTS else { panic!("no dialect") };
        add(chat, "limited", Script::rate_limited("7"), "").await;
        add(chat, "failing", Script::error(500, "server_error", "no"), "").await;
        add(chat, "busy", said().script(), "  maxInFlight: 1\n").await;
        let busy = upstreams.iter().find(|(name, _)| name == "busy");
        busy.unwrap().1.then(begun(chat, Step::Stall));
        for dialect in DIALECTS {
            for what in ["cut", "short", "dying"] {
                let name = format!("{what}-{}", dialect.name);
                lineup.push_str(&alias(&name, &[&name], ""));
            }
            let [dead, alive] = ["dead", "alive"].map(|what| format!("{what}-{}", dialect.name));
            lineup.push_str(&alias(&dead, &[&dead, &alive], ""));
        }
        for name in ["limited", "failing", "busy"] {
            lineup.push_str(&alias(name, &[name], ""));
        }
        Self { moniker: Moniker::dev(&lineup).await.unwrap(), upstreams }
    }

    fn upstream(&self, name: &str) -> &Upstream {
        &self.upstreams.iter().find(|(found, _)| found == name).unwrap().1
    }

    /// The first of each pair dies once it has the request.
    async fn kill_those_that_were_asked(&self) {
        for dialect in DIALECTS {
            let dead = self.upstream(&format!("dead-{}", dialect.name));
            dead.wait_for(1).await.unwrap();
            dead.stop().await;
        }
    }

    /// Runs a program to its end, killing what it says that it reads from.
    async fn run(&self, mut program: Program) {
        let reading = async {
            for dialect in DIALECTS {
                let name = format!("dying-{}", dialect.name);
                program.says(&format!("reading {name}")).await;
                self.upstream(&name).stop().await;
            }
            program.says("fine").await;
        };
        tokio::select! {
            () = reading => {}
            // It waits for ever once all are dead.
            () = async {
                self.kill_those_that_were_asked().await;
                std::future::pending::<()>().await;
            } => {}
        }
        program.ends().await;
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|dialect| dialect.name)
}

#[tokio::test]
async fn openais_python_sdk_notices_what_it_must() {
    let world = World::start().await;
    let mut command = python("requirements", "openai_faults.py");
    command.arg(world.moniker.url()).args(names());
    world.run(Program::start(command)).await;
}

#[tokio::test]
async fn anthropics_python_sdk_notices_what_it_must() {
    let world = World::start().await;
    let mut command = python("anthropic", "anthropic_faults.py");
    command.arg(world.moniker.url().trim_end_matches("/v1")).args(names());
    world.run(Program::start(command)).await;
}

#[tokio::test]
async fn openais_node_sdk_notices_what_it_must() {
    let world = World::start().await;
    let (mut command, _directory) = node("openai_faults.mjs");
    command.arg(world.moniker.url()).args(names());
    world.run(Program::start(command)).await;
}

#[tokio::test]
async fn vercels_sdk_notices_what_it_must() {
    let world = World::start().await;
    let (mut command, _directory) = node("vercel_faults.mjs");
    command.arg(world.moniker.url()).args(names());
    world.run(Program::start(command)).await;
}
