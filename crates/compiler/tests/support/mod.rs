//! A world out of YAML documents, for golden tests and properties. A document `kind: Settings` has
//! the controller's settings; `resourceVersion`, `generation` and `creationTimestamp` (seconds)
//! stand in `metadata`, as do annotations. Services and Namespaces are known once one is there.
#![expect(dead_code, reason = "every test binary uses a part of this, and none all of it")]

pub(crate) mod scale;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use compiler::{
    Compiled, Kind, Namespaces, SecretBytes, SecretData, ServiceFacts, Stored, Undecodable, World,
};
use routing::ObjectId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The documents of a YAML text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("a document is YAML"))
        .filter(|document| !document.is_null())
        .collect()
}

/// The world of these documents.
pub(crate) fn world(documents: &[Value]) -> World {
    let mut world = World::default();
    for document in documents {
        add(&mut world, document);
    }
    world
}

/// The world of this YAML text.
pub(crate) fn yaml(text: &str) -> World {
    world(&documents(text))
}

fn add(world: &mut World, document: &Value) {
    let meta = &document["metadata"];
    let name = meta["name"].as_str().unwrap_or_default();
    let namespace = meta["namespace"].as_str().unwrap_or("shop");
    let id = ObjectId::new(namespace, name);
    let version = meta["resourceVersion"].as_u64().unwrap_or(1);
    match document["kind"].as_str().expect("a document has a kind") {
        "Settings" => {
            let settings = &mut world.settings;
            settings.exporting_namespaces = match &document["exportingNamespaces"] {
                Value::String(_) => Namespaces::All,
                list => Namespaces::Named(strings(list)),
            };
            let identity = &document["workloadIdentityNamespaces"];
            settings.workload_identity_namespaces = Namespaces::Named(strings(identity));
            settings.dev = document["dev"].as_bool().unwrap_or_default();
            world.now = document["now"].as_i64();
            if let Some(domain) = document["clusterDomain"].as_str() {
                domain.clone_into(&mut settings.cluster_domain);
            }
        }
        "ModelAlias" => match stored(document) {
            Ok(stored) => drop(world.aliases.insert(id, stored)),
            Err(note) => drop(world.undecodable.insert((Kind::Alias, id), note)),
        },
        "ProviderTarget" => match stored(document) {
            Ok(stored) => drop(world.targets.insert(id, stored)),
            Err(note) => drop(world.undecodable.insert((Kind::Target, id), note)),
        },
        "AccessKey" => match stored(document) {
            Ok(stored) => drop(world.keys.insert(id, stored)),
            Err(note) => drop(world.undecodable.insert((Kind::Key, id), note)),
        },
        "Secret" => {
            let bytes = |(key, value): (String, String)| (key, SecretBytes::new(value.into()));
            let allowed = meta["annotations"]["moniker.dev/allowed-hosts"].as_str();
            let secret = SecretData {
                version,
                data: map(&document["stringData"]).into_iter().map(bytes).collect(),
                owners: strings(&meta["owners"]).into_iter().collect(),
                allowed_hosts: allowed.map(str::to_owned),
            };
            world.secrets.insert(id, Arc::new(secret));
        }
        "ConfigMap" => {
            world.config_maps.insert(id, Arc::new(map(&document["data"])));
        }
        "Service" => {
            let external_name = document["spec"]["type"] == "ExternalName";
            let services = world.services.get_or_insert_default();
            services.insert(id, ServiceFacts { external_name });
        }
        "Namespace" => {
            let namespaces = world.namespaces.get_or_insert_default();
            namespaces.insert(name.to_owned(), map(&meta["labels"]));
        }
        other => panic!("the tests know no {other}"),
    }
}

/// The object, or why it does not decode, as a watch tells it.
pub(crate) fn stored<T: DeserializeOwned>(document: &Value) -> Result<Stored<T>, Undecodable> {
    let meta = &document["metadata"];
    let version = meta["resourceVersion"].as_u64().unwrap_or(1);
    let generation = meta["generation"].as_i64().unwrap_or(1);
    let created = meta["creationTimestamp"].as_i64().unwrap_or_default();
    let mut bare = document.clone();
    bare["metadata"] =
        json!({"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]});
    match serde_json::from_value(bare) {
        Ok(object) => Ok(Stored { version, generation, created, object: Arc::new(object) }),
        Err(error) => Err(Undecodable { version, generation, message: error.to_string() }),
    }
}

fn map(value: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn strings(value: &Value) -> BTreeSet<String> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// Everything that was compiled as one JSON value. Credentials are told by their state alone.
pub(crate) fn whole(compiled: &Compiled) -> Value {
    let credentials: BTreeMap<String, String> = compiled
        .credentials
        .iter()
        .map(|(id, state)| (id.to_string(), format!("{state:?}")))
        .collect();
    let hashes = compiled.hashes.iter().map(|(id, state)| (id.to_string(), format!("{state:?}")));
    let mut whole = json!({
        "snapshot": serde_json::to_value(&compiled.snapshot).expect("a snapshot is JSON"),
        "credentials": credentials,
        "findings": serde_json::to_value(&compiled.findings).expect("findings are JSON"),
        "statuses": serde_json::to_value(&compiled.statuses).expect("statuses are JSON"),
    });
    let hashes: BTreeMap<String, String> = hashes.collect();
    if !hashes.is_empty() {
        whole["hashes"] = json!(hashes);
    }
    if !compiled.missing.is_empty() {
        whole["missing"] = json!(compiled.missing);
    }
    whole
}

/// What a golden file shows: everything but what would drown it, which properties cover. Digests
/// are cut, conditions stand in one line each.
pub(crate) fn golden(compiled: &Compiled) -> Value {
    let mut whole = whole(compiled);
    shorten(&mut whole);
    whole
}

fn shorten(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => {
            for digest in ["digest", "revision", "weights"] {
                if let Some(Value::String(text)) = fields.get_mut(digest) {
                    text.truncate(8);
                }
            }
            if let Some(Value::Array(conditions)) = fields.get_mut("conditions") {
                for one in conditions {
                    let text = |field: &str| one[field].as_str().unwrap_or_default();
                    let (kind, status) = (text("type"), text("status"));
                    let line = format!("{kind}={status} {}: {}", text("reason"), text("message"));
                    *one = Value::String(line);
                }
            }
            fields.values_mut().for_each(shorten);
        }
        _ => {}
    }
}
