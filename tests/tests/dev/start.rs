//! What is wrong at the start is told on standard error, whatever the logs are set to, and with the
//! exit code of wrong use where it is one.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

use testkit::programs;

fn dev(args: &[&str]) -> Output {
    let mut command = Command::new(programs::moniker().unwrap());
    command.arg("dev").args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--demo", "127.0.0.1:0"]).args(args).env("RUST_LOG", "off");
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--admin"] {
        let mut command = Command::new(programs::moniker().unwrap());
        let other = if flag == "--listen" { "--admin" } else { "--listen" };
        command.args(["dev", flag, &address, other, "127.0.0.1:0", "--demo", "127.0.0.1:0"]);
        let output = command.env("RUST_LOG", "off").output().unwrap();
        let text = told(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("cannot listen on {address} ({flag})")), "{text}");
    }
}

#[test]
fn wrong_use_is_told() {
    let missing = dev(&["/nonexistent/lineup.yaml"]);
    assert_eq!(missing.status.code(), Some(2), "{}", told(&missing));
    assert!(told(&missing).contains("/nonexistent/lineup.yaml"), "{}", told(&missing));

    let mut command = Command::new(programs::moniker().unwrap());
    let open = command.args(["dev", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(open.status.code(), Some(2), "{}", told(&open));
    assert!(told(&open).contains("--listen"), "{}", told(&open));

    let mut command = Command::new(programs::moniker().unwrap());
    let filter = command.arg("dev").env("RUST_LOG", "router=loud").output().unwrap();
    assert_eq!(filter.status.code(), Some(1), "{}", told(&filter));
    assert!(told(&filter).contains("router=loud"), "{}", told(&filter));
}
