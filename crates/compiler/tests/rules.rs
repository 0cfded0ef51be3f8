//! The compiler never assumes that a rule of the schema holds: for every CEL rule, what the rule
//! refuses is refused here as well, should it be stored all the same, and what it accepts is not.

#![cfg(test)]

#[path = "../../../tests/corpus/cel.rs"]
#[expect(dead_code, reason = "what was there before matters elsewhere")]
mod corpus;
mod support;

use api::{Reason, rules::Kind};
use compiler::compile;
use serde_json::Value;

/// Rules that the compiler does without: one compares with what was, and a provider that stands
/// twice keeps its first place.
const NOT_NEEDED: [&str; 4] = [
    "model-immutable",
    "providers-unique",
    "default-providers-unique",
    "override-providers-unique",
];

fn is_refused(kind: Kind, document: &Value) -> bool {
    let mut document = document.clone();
    document["kind"] = kind.name().into();
    let compiled = compile(&support::world(&[document]));
    compiled.findings.iter().any(|finding| finding.reason == Reason::InvalidSpec)
}

#[test]
fn the_compiler_holds_every_rule() {
    for documents in corpus::read() {
        let rule = &documents.rule;
        for case in &documents.valid {
            assert!(!is_refused(rule.kind, &case.new), "{}: {}", rule.id, case.new);
        }
        for case in documents.invalid.iter().filter(|_| !NOT_NEEDED.contains(&&*rule.id)) {
            assert!(is_refused(rule.kind, &case.new), "{}: {}", rule.id, case.new);
        }
    }
}
