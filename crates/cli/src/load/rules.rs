//! Our kinds, checked as the API server checks them: first the structure, then the rules.

use std::sync::LazyLock;

use api::{crd, rules::Kind};
use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::{Value, json};

use super::{
    path::Path,
    problem::Stage,
    structure::{Misfit, Schema},
};

/// Ready to check both kinds.
pub(super) struct Checker {
    kinds: Vec<(Kind, Schema, CompiledSchema)>,
    validator: Validator,
}

/// With the rules of a cluster, or with those of `moniker dev`: compiled when first asked for.
pub(super) fn checker(dev: bool) -> &'static Checker {
    static CLUSTER: LazyLock<Checker> = LazyLock::new(|| Checker::new(false));
    static DEV: LazyLock<Checker> = LazyLock::new(|| Checker::new(true));
    if dev { &DEV } else { &CLUSTER }
}

impl Checker {
    fn new(dev: bool) -> Self {
        let prepare = |kind| {
            let mut schema = crd::schema(kind, dev);
            let compiled = compile_schema(&schema);
            // What every kind has, and the API server adds; their values are checked elsewhere.
            for name in ["apiVersion", "kind", "metadata"] {
                schema["properties"][name] = json!({});
            }
            (kind, Schema::new(schema), compiled)
        };
        Self { kinds: Kind::ALL.into_iter().map(prepare).collect(), validator: Validator::new() }
    }

    /// What is wrong with an object. Rules run on what has the right structure.
    pub(super) fn check(&self, kind: Kind, object: &Value) -> (Stage, Vec<Misfit>) {
        let Some((_, schema, rules)) = self.kinds.iter().find(|(k, ..)| *k == kind) else {
            return (Stage::Structure, Vec::new());
        };
        let misfits = schema.check(object);
        if !misfits.is_empty() {
            return (Stage::Structure, misfits);
        }
        let broken = match self.validator.validate_compiled(rules, object, None) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.into_vec(),
        };
        let misfit = |error: kube_cel::ValidationError| Misfit {
            path: Path::parse(&error.field_path),
            message: match error.kind {
                ErrorKind::ValidationFailure => error.message,
                _ => format!("the rule {:?} cannot be run: {}", error.rule, error.message),
            },
        };
        (Stage::Rule, broken.into_iter().map(misfit).collect())
    }
}
