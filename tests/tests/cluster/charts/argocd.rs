//! The health checks for Argo CD over every shape of status, as its Lua (5.1) reads them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::parsed;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/argocd").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// A JSON value as a literal of Lua. What is null is absent, as in Argo CD.
fn literal(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("nil"),
        Value::Bool(is) => write!(out, "{is}").unwrap(),
        Value::Number(number) => write!(out, "{number}").unwrap(),
        Value::String(text) => write!(out, "{text:?}").unwrap(),
        Value::Array(items) => {
            out.push('{');
            for item in items {
                literal(item, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Object(members) => {
            out.push('{');
            for (name, member) in members {
                write!(out, "[{name:?}]=").unwrap();
                literal(member, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

/// What a script says of an object: health and message.
fn health(script: &str, object: &Value) -> (String, String) {
    let mut program = String::from("local function check(obj)\n");
    program.push_str(script);
    program.push_str("\nend\nlocal health = check(");
    literal(object, &mut program);
    program.push_str(")\nio.write(health.status, '\\n', health.message)\n");
    let mut lua = Command::new("lua5.1");
    lua.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = lua.spawn().expect("lua5.1: run `cargo xtask setup`");
    child.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (status, message) = said.split_once('\n').unwrap();
    (status.to_owned(), message.to_owned())
}

fn object(generation: u64, status: Value) -> Value {
    let mut object = json!({"kind": "ModelAlias", "metadata": {"generation": generation}});
    object["status"] = status;
    object
}

/// A status of generation 2 with these conditions, each a type, a status, and a reason.
fn status(conditions: &[[&str; 3]]) -> Value {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|[kind, is, reason]| {
            let message = format!("{reason}, said");
            json!({"type": kind, "status": is, "reason": reason, "message": message})
        })
        .collect();
    json!({"observedGeneration": 2, "conditions": conditions})
}

#[test]
fn every_shape_of_status_has_its_health() {
    let script = read("health.lua");
    let of = |status: Value| health(&script, &object(2, status));
    let is = |found: (String, String), health: &str, message: &str| {
        assert_eq!((found.0.as_str(), found.1.as_str()), (health, message));
    };
    let unseen = "The controller has not looked at it yet";
    is(of(Value::Null), "Progressing", unseen);
    is(of(json!({})), "Progressing", unseen);
    is(of(json!({"observedGeneration": 2, "conditions": []})), "Progressing", unseen);
    is(of(status(&[["Accepted", "True", "Accepted"]])), "Progressing", unseen);
    let ready = status(&[["Accepted", "True", "Accepted"], ["Ready", "True", "Ready"]]);
    is(of(ready.clone()), "Healthy", "Ready, said");
    // Of the generation before: what was true of it says nothing of this one.
    is(health(&script, &object(3, ready)), "Progressing", unseen);
    let pending =
        json!({"conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending"}]});
    is(of(pending), "Progressing", unseen);
    let unknown = status(&[["Ready", "Unknown", "NoRouters"]]);
    is(of(unknown), "Progressing", "NoRouters, said");
    let waiting = ["Reconciling", "True", "SecretNotFound"];
    let waiting = status(&[["Ready", "False", "SecretNotFound"], waiting]);
    is(of(waiting), "Progressing", "SecretNotFound, said");
    let stalled = ["Stalled", "True", "ModelNotOffered"];
    let stalled = status(&[["Ready", "False", "ModelNotOffered"], stalled]);
    is(of(stalled), "Degraded", "ModelNotOffered, said");
    // Of aliases and targets that not every router serves.
    let behind = ["Programmed", "False", "RoutersDisconnected"];
    let waits = ["Reconciling", "True", "RoutersDisconnected"];
    let behind = status(&[behind, ["Ready", "False", "RoutersDisconnected"], waits]);
    is(of(behind), "Progressing", "RoutersDisconnected, said");
    let rejected = ["Programmed", "False", "RouterRejected"];
    let stands = ["Stalled", "True", "RouterRejected"];
    let rejected = status(&[rejected, ["Ready", "False", "RouterRejected"], stands]);
    is(of(rejected), "Degraded", "RouterRejected, said");
    let not_stalled = ["Stalled", "False", "Ready"];
    let warned = ["PriceUnknown", "True", "PriceUnknown"];
    let fine = status(&[warned, ["Ready", "True", "Ready"], not_stalled]);
    is(of(fine), "Healthy", "Ready, said");
    let silent = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": ""});
    is(of(json!({"observedGeneration": 2, "conditions": [silent]})), "Healthy", "Ready");
}

#[tokio::test]
async fn what_the_api_server_makes_of_a_fresh_object_is_progressing() {
    let (plane, _) = crate::controller::harness::plane().await;
    plane.apply(&crate::controller::harness::alias("default", "chat", &["a"])).await.unwrap();
    let fresh = crate::controller::harness::get(&plane, "default", "modelalias/chat").await;
    assert_eq!(health(&read("health.lua"), &fresh).0, "Progressing", "{fresh:#}");
}

#[test]
fn applications_have_the_health_that_they_say() {
    let script = read("application-health.lua");
    let of = |status: Value| health(&script, &object(1, status)).0;
    assert_eq!(of(Value::Null), "Progressing");
    assert_eq!(of(json!({})), "Progressing");
    for is in ["Healthy", "Degraded", "Progressing", "Missing"] {
        assert_eq!(of(json!({"health": {"status": is}})), is);
    }
}

#[test]
fn the_patch_holds_the_scripts_for_every_kind() {
    let patch = parsed(&read("argocd-cm.yaml")).remove(0);
    let data = patch["data"].as_object().unwrap();
    let mut expected = vec![("argoproj.io_Application".to_owned(), read("application-health.lua"))];
    for file in std::fs::read_dir(file("../../crds")).unwrap() {
        let definition = parsed(&std::fs::read_to_string(file.unwrap().path()).unwrap()).remove(0);
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        expected.push((format!("moniker.dev_{kind}"), read("health.lua")));
    }
    assert_eq!(data.len(), expected.len());
    for (kind, script) in expected {
        assert_eq!(data[&format!("resource.customizations.health.{kind}")], script, "{kind}");
    }
}
