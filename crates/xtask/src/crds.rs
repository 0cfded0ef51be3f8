//! `cargo xtask crds`: the custom resource definitions, from the types in `api`.

use crate::generated::Generated;

/// One file per kind.
pub(crate) fn files() -> Generated {
    Generated {
        directory: "crds",
        command: "cargo xtask crds",
        extension: ".yaml",
        files: api::crd::all().into_iter().collect(),
    }
}
