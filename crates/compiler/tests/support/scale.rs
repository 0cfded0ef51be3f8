//! A large world: aliases of every shape over many targets.

use std::sync::Arc;

use compiler::{SecretBytes, SecretData, World};
use routing::ObjectId;
use serde_json::{Value, json};

/// Aliases over targets, twenty targets to a namespace.
pub(crate) fn world(aliases: usize, targets: usize) -> World {
    let mut world = World::default();
    let spaces = targets.div_ceil(20);
    for i in 0..targets {
        let id = ObjectId::new(format!("team-{}", i % spaces), format!("target-{i}"));
        let secret = SecretData {
            version: 7,
            data: [("key".to_owned(), SecretBytes::new(format!("sk-{i}").into_bytes()))].into(),
            ..SecretData::default()
        };
        world.secrets.insert(id.clone(), Arc::new(secret));
        let models: Vec<Value> = (0..10)
            .map(|m| json!({"name": format!("model-{}", (i + m) % 40), "contextWindow": 128_000}))
            .collect();
        let document = json!({
            "apiVersion": "moniker.dev/v1alpha1", "kind": "ProviderTarget",
            "metadata": {"name": &*id.name, "namespace": &*id.namespace},
            "spec": {
                "provider": "OpenAI", "models": models,
                "auth": {"type": "Bearer", "secretRef": {"name": &*id.name, "key": "key"}},
            },
        });
        world.targets.insert(id, super::stored(&document).expect("a target"));
    }
    for i in 0..aliases {
        let space = i % spaces;
        let id = ObjectId::new(format!("team-{space}"), format!("alias-{i}"));
        let entry = |n: usize| json!({"name": format!("e{n}"), "model": format!("model-{}", (i + n) % 40), "weight": n});
        let mut entries = vec![entry(1), entry(2), entry(3)];
        if i >= spaces && i % 5 == 0 {
            entries.push(json!({"name": "nested", "alias": format!("alias-{space}"), "tier": 1}));
        }
        let document = json!({
            "apiVersion": "moniker.dev/v1alpha1", "kind": "ModelAlias",
            "metadata": {"name": &*id.name, "namespace": &*id.namespace},
            "spec": {"strategy": {"type": "RandomShuffle"}, "targets": entries},
        });
        world.aliases.insert(id, super::stored(&document).expect("an alias"));
    }
    world
}
