//! Every CEL rule, offline: it accepts what it should, and it alone refuses what it should.

#![cfg(test)]

#[path = "../../../tests/corpus/cel.rs"]
mod corpus;

use api::{crd, rules::Kind};
use corpus::Case;
use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};

struct Compiled {
    kinds: Vec<(Kind, CompiledSchema)>,
    validator: Validator,
}

impl Compiled {
    fn new(dev: bool) -> Self {
        let compiled = |kind| (kind, compile_schema(&crd::schema(kind, dev)));
        let kinds: Vec<_> = Kind::ALL.into_iter().map(compiled).collect();
        for (kind, schema) in &kinds {
            assert!(!schema.has_errors(), "{}: {:?}", kind.name(), schema.compilation_errors());
        }
        Self { kinds, validator: Validator::new() }
    }

    /// The messages of the rules that refuse it.
    fn refusals(&self, kind: Kind, case: &Case) -> Vec<String> {
        let (_, schema) = self.kinds.iter().find(|(k, _)| *k == kind).unwrap();
        let Err(errors) = self.validator.validate_compiled(schema, &case.new, case.old.as_ref())
        else {
            return Vec::new();
        };
        for error in &errors {
            assert_eq!(error.kind, ErrorKind::ValidationFailure, "{error:?}");
        }
        errors.iter().map(|error| error.message.clone()).collect()
    }
}

#[test]
fn every_rule_accepts_and_refuses_what_it_should() {
    let compiled = Compiled::new(false);
    for documents in corpus::read() {
        let rule = &documents.rule;
        for case in &documents.valid {
            let refusals = compiled.refusals(rule.kind, case);
            assert!(refusals.is_empty(), "{}: {} {refusals:?}", rule.id, case.new);
        }
        for case in &documents.invalid {
            let refusals = compiled.refusals(rule.kind, case);
            assert_eq!(refusals, [rule.message.as_str()], "{}: {}", rule.id, case.new);
        }
    }
}

#[test]
fn dev_relaxes_the_rules_that_say_so_and_no_other() {
    let compiled = Compiled::new(true);
    for documents in corpus::read() {
        let rule = &documents.rule;
        for case in &documents.invalid {
            let refusals = compiled.refusals(rule.kind, case);
            assert_eq!(refusals.is_empty(), rule.relaxed_in_dev, "{}: {}", rule.id, case.new);
        }
    }
}
