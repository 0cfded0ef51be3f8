//! The official SDKs, each through one alias over a demo upstream of every dialect.

use testkit::{demo::Demo, moniker::Moniker};

use crate::rig::{DIALECTS, alias, node, python, run};

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
    all_fine(run(command).await, &names, &moniker);
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
    for (n, first) in DIALECTS.iter().enumerate() {
        let second = &DIALECTS[(n + 1) % DIALECTS.len()];
        let (mut dying, living) = (first.demo(&[]).await, second.demo(&[]).await);
        let lineup = [
            first.target("first", dying.url()),
            second.target("second", living.url()),
            alias("agent", &["first", "second"], ""),
        ];
        let moniker = Moniker::dev(&lineup.concat()).await.unwrap();
        let mut begin = python("anthropic", "anthropic_agent.py");
        let state = moniker.dir().join("conversation.json");
        begin.arg(moniker.url().trim_end_matches("/v1")).arg("first").arg(&state);
        let begun = run(begin).await;
        let told = |error: String| panic!("{} first: {error}\n{}", first.name, moniker.output());
        assert!(begun.unwrap_or_else(told).contains("asked for tools"));
        dying.kill().unwrap();
        let mut go_on = python("anthropic", "anthropic_agent.py");
        go_on.arg(moniker.url().trim_end_matches("/v1")).arg("second").arg(&state);
        assert!(run(go_on).await.unwrap_or_else(told).contains("answered"));
    }
}
