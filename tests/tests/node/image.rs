//! The image as a pod: it runs under the strictest level of Pod Security, and there is nothing in it
//! but the program.

use serde_json::json;
use testkit::cluster::Cluster;

use crate::pods;

const LINEUP: &str = include_str!("../../../deploy/samples/dev.yaml");

#[tokio::test]
async fn the_program_runs_and_nothing_else_is_there() {
    let cluster = Cluster::attach().unwrap();
    let namespace = cluster.namespace("image").await.unwrap();
    cluster.apply(&pods::list(&[pods::demo(&namespace)])).await.unwrap();
    cluster.wait(&namespace, "pod/demo", "Ready").await.unwrap();
    let inside = async |command: &[&str], stdin: &str| {
        let exec = ["exec", "--stdin", "demo", "-n", &namespace, "--"];
        cluster.kubectl(&[&exec[..], command].concat(), stdin).await.unwrap()
    };

    let said = inside(&["/moniker", "--help"], "").await.success().unwrap();
    assert!(said.contains("demo-upstream"), "{said}");

    let validate = ["/moniker", "validate", "--dev", "-"];
    inside(&validate, LINEUP).await.success().unwrap();
    let wrong = LINEUP.replace("strategy: {type: Priority}", "strategy: {type: Unicorn}");
    let said = inside(&validate, &wrong).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stdout.contains("Unicorn"), "{said:?}");

    for program in ["sh", "/bin/sh", "/bin/ls", "/bin/busybox"] {
        let said = inside(&[program, "-c", "true"], "").await;
        assert_ne!(said.code, 0, "{program} is there");
        assert!(
            said.stderr.contains("no such file or directory")
                || said.stderr.contains("executable file not found"),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn what_asks_for_more_than_restricted_is_refused() {
    let cluster = Cluster::attach().unwrap();
    let namespace = cluster.namespace("refused").await.unwrap();
    let mut pod = pods::demo(&namespace);
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let refusal = cluster.apply(&pods::list(&[pod])).await.unwrap_err().to_string();
    assert!(refusal.contains("violates PodSecurity \"restricted"), "{refusal}");
}
