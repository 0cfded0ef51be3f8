//! `cargo xtask cluster demo`: the product of this very checkout on the cluster, installed by its
//! charts, with an alias over a provider that costs nothing.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::processes;
use super::state::State;
use crate::assets::HELM;
use crate::{image, run};

/// Where the charts are installed.
const NAMESPACE: &str = "moniker-system";
/// Where the demo's alias and key are.
const CALLERS: &str = "default";
/// A provider, targets, an alias and a key, for a cluster.
const DEMO: &str = "deploy/demo.yaml";
/// How long pods may take on a loaded machine.
const PATIENCE: &str = "--timeout=300s";

/// Installs, or upgrades to what is built now, and says what to try.
pub(super) fn run(state: &State) -> Result<()> {
    if state.running().is_none() {
        super::up(state)?;
    }
    let archive = image::dev()?;
    print!("{}", processes::load(state, &archive)?);
    // Pods start anew where the image is another one under the same name.
    let bytes = fs::read(&archive).with_context(|| archive.display().to_string())?;
    let digest = hex::encode(&Sha256::digest(bytes)[..8]);

    helm(state, &["upgrade", "--install", "moniker-crds", "charts/moniker-crds"])?;
    let annotation = |part: &str| format!("{part}.podAnnotations.moniker\\.dev/image=d-{digest}");
    helm(
        state,
        &[
            &["upgrade", "--install", "moniker", "charts/moniker"][..],
            &["--set", "image.tag=dev,image.pullPolicy=Never"],
            &["--set-string", &annotation("controller"), "--set-string", &annotation("router")],
        ]
        .concat(),
    )?;
    kubectl(state, &["apply", "--server-side", "--namespace", CALLERS, "-f", DEMO])?;
    for workload in ["moniker-controller", "moniker-router"] {
        let workload = format!("deployment/{workload}");
        kubectl(state, &["rollout", "status", &workload, "--namespace", NAMESPACE, PATIENCE])?;
    }
    let alias = "modelalias/prod-chat";
    kubectl(state, &["wait", "--for=condition=Ready", alias, "--namespace", CALLERS, PATIENCE])?;
    let key = "accesskey/demo";
    kubectl(state, &["wait", "--for=condition=Ready", key, "--namespace", CALLERS, PATIENCE])?;
    helm(state, &["test", "moniker"])?;

    let get = ["get", "service", "moniker-router", "--namespace", NAMESPACE, "-o"];
    let address = [&get[..], &["jsonpath={.spec.clusterIP}"]].concat();
    let address = run::output(&mut inside(state, &address)?)?;
    println!(
        "\nA request through the routers' Service:\n\n  KEY=$(cargo xtask cluster kubectl get secret \
         demo-access-key -o jsonpath='{{.data.api-key}}' | base64 -d)\n  cargo xtask cluster run \
         curl -i http://{address}/v1/chat/completions \\\n    -H \"authorization: Bearer $KEY\" -H \
         'content-type: application/json' -d \
         '{{\"model\": \"prod-chat\", \"messages\": [{{\"role\": \"user\", \"content\": \
         \"hello\"}}]}}'\n\nAnd what was installed:\n\n  cargo xtask cluster kubectl get \
         modelaliases,providertargets,accesskeys\n  cargo xtask cluster kubectl get all --namespace {NAMESPACE}"
    );
    Ok(())
}

fn helm(state: &State, args: &[&str]) -> Result<()> {
    let program = HELM.find()?.context("helm is not built: run `cargo xtask setup`")?;
    let mut helm = run::program(&program.to_string_lossy(), args);
    helm.args(["--namespace", NAMESPACE]);
    if args[0] == "upgrade" {
        helm.arg("--create-namespace");
    }
    helm.env("HOME", state.path("home"));
    run::run(&mut state.inside(&helm)?)
}

fn kubectl(state: &State, args: &[&str]) -> Result<()> {
    run::run(&mut inside(state, args)?)
}

/// kubectl in the cluster's network, as the administrator.
fn inside(state: &State, args: &[&str]) -> Result<Command> {
    let program = crate::assets::KUBECTL.find()?;
    let program = program.context("kubectl is not built: run `cargo xtask setup`")?;
    state.inside(&run::program(&program.to_string_lossy(), args))
}
