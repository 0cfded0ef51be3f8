//! The official SDKs, each through one alias over a demo upstream of every dialect.

use testkit::{demo::Demo, moniker::Moniker};

use crate::rig::{DIALECTS, OTHERS, Program, alias, node, python, run};

/// An alias for each dialect, named after it, and the demos behind them.
async fn everything() -> (Moniker, Vec<Demo>, Vec<&'static str>) {
    let mut lineup = String::new();
    let (mut demos, mut names) = (Vec::new(), Vec::new());
    for dialect in DIALECTS {
        let demo = dialect.demo(&[]).await;
        lineup.push_str(&dialect.target(dialect.name, demo.url()));
        lineup.push_str(&alias(dialect.name, &[dialect.name], ""));
        demos.push(demo);
        names.push(dialect.name);
    }
    let name = OTHERS.name;
    lineup.push_str(&OTHERS.target(name, demos[0].url()));
    lineup.push_str(&alias(name, &[name], ""));
    (Moniker::dev(&lineup).await.unwrap(), demos, names)
}

fn all_fine(said: Result<String, String>, names: &[&str], moniker: &Moniker) {
    let said = said.unwrap_or_else(|error| panic!("{error}\n{}", moniker.output()));
    for name in names {
        assert!(said.contains(&format!("{name}: fine")), "{name}: {said}");
    }
}

#[tokio::test]
async fn openais_python_sdk_speaks_with_every_dialect() {
    let (moniker, _demos, names) = everything().await;
    let mut command = python("requirements", "openai_clients.py");
    command.arg(moniker.url()).args(&names);
    let all = [&names[..], &[OTHERS.name]].concat();
    all_fine(run(command).await, &all, &moniker);
}

#[tokio::test]
async fn anthropics_python_sdk_speaks_with_every_dialect() {
    let (moniker, _demos, names) = everything().await;
    let mut command = python("anthropic", "anthropic_clients.py");
    command.arg(moniker.url().trim_end_matches("/v1")).args(&names);
    all_fine(run(command).await, &names, &moniker);
}

#[tokio::test]
async fn openais_node_sdk_speaks_with_every_dialect() {
    let (moniker, _demos, names) = everything().await;
    let (mut command, _directory) = node("openai_clients.mjs");
    command.arg(moniker.url()).args(&names);
    all_fine(run(command).await, &names, &moniker);
}

#[tokio::test]
async fn vercels_sdk_speaks_with_every_dialect() {
    let (moniker, _demos, names) = everything().await;
    let (mut command, _directory) = node("vercel_clients.mjs");
    command.arg(moniker.url()).args(&names);
    all_fine(run(command).await, &names, &moniker);
}

/// The first target dies between two turns of a conversation with tools and thinking: what it signed
/// goes to a provider of another dialect, which never saw it.
#[tokio::test]
async fn an_agent_goes_on_elsewhere_when_its_provider_dies() {
    let mut lineup = String::new();
    let (mut dying, mut living) = (Vec::new(), Vec::new());
    for (n, first) in DIALECTS.iter().enumerate() {
        let second = &DIALECTS[(n + 1) % DIALECTS.len()];
        let [one, other] = ["first", "second"].map(|which| format!("{}-{which}", first.name));
        let demo = first.demo(&[]).await;
        lineup.push_str(&first.target(&one, demo.url()));
        dying.push(demo);
        let demo = second.demo(&[]).await;
        lineup.push_str(&second.target(&other, demo.url()));
        living.push(demo);
        lineup.push_str(&alias(first.name, &[&one, &other], ""));
    }
    let moniker = Moniker::dev(&lineup).await.unwrap();
    let mut command = python("anthropic", "anthropic_agent.py");
    command.arg(moniker.url().trim_end_matches("/v1"));
    command.args(DIALECTS.iter().map(|dialect| dialect.name));
    let mut agent = Program::start(command);
    agent.says("asked for tools").await;
    for demo in &mut dying {
        demo.kill().unwrap();
    }
    agent.go_on().await;
    agent.says("answered").await;
    agent.ends().await;
}
