//! From a value to an object of a kind that is read: its kind, its name, and what fits neither.

use api::rules::Kind;
use routing::ObjectId;
use serde_json::{Map, Value, json};

use super::{
    core::Core,
    path::Path,
    structure::{LABEL, Misfit, SUBDOMAIN, Schema},
};

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnyKind {
    Ours(Kind),
    Core(Core),
}

impl AnyKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours(kind) => kind.name(),
            Self::Core(core) => core.name(),
        }
    }

    fn api_version(self) -> String {
        match self {
            Self::Ours(_) => format!("{}/{}", api::GROUP, api::VERSION),
            Self::Core(_) => "v1".to_owned(),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.into_iter().map(Self::Ours).chain(Core::ALL.into_iter().map(Self::Core))
    }

    /// The kind of an object, or what is wrong with it.
    pub(super) fn of(object: &Map<String, Value>) -> Result<Self, Misfit> {
        let misfit = |field: &str, message: String| Misfit {
            path: if object.contains_key(field) {
                Path::default().member(field)
            } else {
                Path::default()
            },
            message,
        };
        let Some(name) = object.get("kind").and_then(Value::as_str) else {
            let message = format!("kind is required: one of {}", names());
            return Err(misfit("kind", message));
        };
        let Some(kind) = Self::all().find(|kind| kind.name() == name) else {
            return Err(misfit("kind", format!("{name:?} is not read here; what is: {}", names())));
        };
        let version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        if version != kind.api_version() {
            let message = format!("the apiVersion of {name} is {}: write that", kind.api_version());
            return Err(misfit("apiVersion", message));
        }
        Ok(kind)
    }
}

fn names() -> String {
    AnyKind::all().map(AnyKind::name).collect::<Vec<_>>().join(", ")
}

/// The items of a `List`, as `kubectl get -o yaml` prints it.
pub(super) fn items(value: &Value) -> Option<&Vec<Value>> {
    (value["kind"] == "List" && value["apiVersion"] == "v1").then(|| value["items"].as_array())?
}

/// The schema of `metadata`, as far as it is written by hand.
pub(super) fn metadata_schema() -> Schema {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let name = json!({"type": "string", "minLength": 1, "maxLength": 253, "pattern": SUBDOMAIN});
    let namespace = json!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": LABEL});
    Schema::new(json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": name, "namespace": namespace, "labels": texts, "annotations": texts,
            "generateName": {}, "finalizers": {}, "ownerReferences": {}, "managedFields": {},
            "creationTimestamp": {}, "deletionTimestamp": {}, "deletionGracePeriodSeconds": {},
            "generation": {}, "resourceVersion": {}, "selfLink": {}, "uid": {},
        },
    }))
}

/// What is wrong with an object's metadata.
pub(super) fn metadata_misfits(schema: &Schema, object: &Map<String, Value>) -> Vec<Misfit> {
    let path = Path::default().member("metadata");
    match object.get("metadata") {
        None => {
            let message = "metadata is required: add it, with a name".to_owned();
            vec![Misfit { path: Path::default(), message }]
        }
        Some(metadata) => schema
            .check(metadata)
            .into_iter()
            .map(|misfit| Misfit { path: misfit.path.below(&path), ..misfit })
            .collect(),
    }
}

/// Its name in its namespace, or in the one given where it names none; `None`: it has no name.
pub(super) fn id(object: &Map<String, Value>, namespace: &str) -> Option<ObjectId> {
    let metadata = object.get("metadata")?;
    let namespace = metadata["namespace"].as_str().unwrap_or(namespace);
    Some(ObjectId::new(namespace, metadata["name"].as_str()?))
}

/// The labels, with the one that every namespace has.
pub(super) fn namespace_labels(name: &str, object: &Map<String, Value>) -> Vec<(String, String)> {
    let labels = object.get("metadata").and_then(|metadata| metadata["labels"].as_object());
    let labels = labels.into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    labels.chain([("kubernetes.io/metadata.name".to_owned(), name.to_owned())]).collect()
}
