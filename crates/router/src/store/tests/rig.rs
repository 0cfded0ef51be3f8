//! A controller for the store's tests, which keeps its own account of what the router should have.

use std::{collections::BTreeMap, time::Duration};

use routing::{
    Digest, Nanos, ObjectId, hmac::Hmac, key::KeyHash, revision::revision, snapshot::CompiledAlias,
};
use serde_json::{json, value::RawValue};
use wire::{
    Cause, Commit, Counts, Credential, CredentialFrame, Frame, HashesFrame, Hello, Hold, Key, Kind,
    Remove, Upsert,
};

use crate::store::{Applied, Effects, Store, Void};

pub(super) const T0: Nanos = Nanos::ZERO;

pub(super) fn secs(n: u64) -> Nanos {
    T0 + Duration::from_secs(n)
}

pub(super) fn id(name: &str) -> ObjectId {
    ObjectId::new("shop", name)
}

pub(super) fn alias_json(name: &str, model: &str) -> String {
    json!({
        "id": format!("shop/{name}"), "model": model, "visibility": "Public", "export": "Same",
        "created": 1,
        "candidates": [{"entry": "one", "target": "shop/t", "model": "m"}],
        "lineup": {
            "strategy": {"type": "Priority"},
            "tiers": [[{"name": "one", "weight": 1, "members": {"Candidates": [0]}}]],
        },
        "fallback": {"maxAttempts": 3, "retries": null, "outcomes": []},
        "timeouts": {
            "requestMs": 1000, "firstTokenMs": 1000, "attemptMs": null, "streamIdleMs": 1000,
        },
    })
    .to_string()
}

pub(super) fn target_json(name: &str) -> String {
    json!({
        "id": format!("shop/{name}"), "provider": "OpenAICompatible",
        "endpoint": {"url": "http://127.0.0.1:1/v1", "service": false},
        "auth": {"kind": "Bearer"}, "headers": [],
        "models": [{"name": "m", "upstreamName": "m", "capabilities": ["Chat"]}],
        "ejection": {"consecutiveFailures": 3, "baseMs": 5000, "maxMs": 300_000},
        "cordoned": false,
    })
    .to_string()
}

/// A controller that keeps its own account of what the router should have.
#[derive(Default)]
pub(super) struct Controller {
    pub(super) stated: BTreeMap<Key, Option<Digest>>,
    pub(super) credentials: usize,
    pub(super) hashes: usize,
    pub(super) out: Vec<Frame>,
}

impl Controller {
    pub(super) fn hello(cluster: &str) -> Self {
        let hello = Hello {
            protocol: 1,
            controller: "c".into(),
            cluster: cluster.into(),
            features: Vec::new(),
            heartbeat_millis: 5_000,
            routers: 1,
            admin_token: None,
        };
        Self { out: vec![Frame::Hello(hello)], ..Self::default() }
    }

    /// A connection to the same store that knows what was sent before.
    pub(super) fn again(&self, cluster: &str) -> Self {
        Self {
            stated: self.stated.clone(),
            credentials: self.credentials,
            hashes: self.hashes,
            ..Self::hello(cluster)
        }
    }

    pub(super) fn upsert(mut self, kind: Kind, name: &str, version: u64, json: &str) -> Self {
        let digest = Digest::of(json.as_bytes());
        self.stated.insert(Key::new(kind.clone(), id(name)), Some(digest));
        let resource = Some(RawValue::from_string(json.to_owned()).unwrap());
        let requires = Vec::new();
        let upsert = Upsert { kind, id: id(name), version, digest, requires, resource };
        self.out.push(Frame::Upsert(upsert));
        self
    }

    pub(super) fn alias(self, name: &str, version: u64, model: &str) -> Self {
        self.upsert(Kind::Alias, name, version, &alias_json(name, model))
    }

    pub(super) fn target(self, name: &str, version: u64) -> Self {
        self.upsert(Kind::Target, name, version, &target_json(name))
    }

    pub(super) fn confirm(mut self, name: &str, version: u64, model: &str) -> Self {
        self = self.alias(name, version, model);
        if let Some(Frame::Upsert(upsert)) = self.out.last_mut() {
            upsert.resource = None;
        }
        self
    }

    pub(super) fn hold(mut self, name: &str, version: u64, reason: &str) -> Self {
        self.stated.insert(Key::alias(&id(name)), None);
        let (reason, message) = (reason.to_owned(), "mend it".to_owned());
        let hold = Hold { kind: Kind::Alias, id: id(name), version, reason, message };
        self.out.push(Frame::Hold(hold));
        self
    }

    pub(super) fn remove(mut self, kind: Kind, name: &str, version: u64, cause: Cause) -> Self {
        self.stated.remove(&Key::new(kind.clone(), id(name)));
        self.out.push(Frame::Remove(Remove { kind, id: id(name), version, cause }));
        self
    }

    pub(super) fn key(mut self, target: &str, version: u64, key: Option<&str>) -> Self {
        self.credentials = usize::from(key.is_some());
        let hash = Digest::of(key.unwrap_or_default().as_bytes());
        let credential = key.map(|key| Credential::new(version, hash, key.into()));
        let frame = CredentialFrame { target: id(target), version, credential };
        self.out.push(Frame::Credential(frame));
        self
    }

    /// A target's credential goes with it, without a frame.
    pub(super) fn key_gone(mut self) -> Self {
        self.credentials = 0;
        self
    }

    pub(super) fn caller(self, name: &str, version: u64) -> Self {
        self.upsert(Kind::Key, name, version, r#"{"aliases":["prod-*"]}"#)
    }

    /// The hashes of these keys under the key `k`; `None`: revoked.
    pub(super) fn hashes(mut self, name: &str, version: u64, keys: &[&str]) -> Self {
        self.hashes = usize::from(!keys.is_empty());
        let hmac = Hmac::new(b"k");
        let hashes = keys.iter().map(|key| KeyHash::of(&hmac, key.as_bytes())).collect();
        self.out.push(Frame::Hashes(HashesFrame { id: id(name), version, hashes }));
        self
    }

    /// Hashes go with their key, without a frame.
    pub(super) fn hashes_gone(mut self) -> Self {
        self.hashes = 0;
        self
    }

    /// Sends what is there and a COMMIT.
    pub(super) fn send(&mut self, store: &mut Store, now: Nanos) -> Result<Effects, Void> {
        for frame in self.out.drain(..) {
            store.step(frame, now)?;
        }
        let of = |kind: Kind| self.stated.keys().filter(|key| key.kind == kind).count();
        let counts = Counts {
            aliases: of(Kind::Alias),
            targets: of(Kind::Target),
            credentials: self.credentials,
            keys: of(Kind::Key),
            hashes: self.hashes,
        };
        let all = self.stated.iter().map(|(key, d)| (key.kind.name(), &key.id, *d));
        store.step(Frame::Commit(Commit { revision: revision(all), counts }), now)
    }
}

pub(super) fn alias<'a>(store: &'a Store, name: &str) -> Option<&'a CompiledAlias> {
    store.snapshot().aliases.get(&id(name))?.value()
}

pub(super) fn model<'a>(store: &'a Store, name: &str) -> &'a str {
    alias(store, name).map_or("none", |a| &a.model)
}

pub(super) fn applied(effects: Effects) -> Applied {
    effects.applied.expect("a change")
}

/// A store with target `t`, its key, and aliases.
pub(super) fn filled(aliases: &[(&str, u64)]) -> (Store, Controller) {
    let mut store = Store::default();
    store.connect();
    let mut controller = Controller::hello("one").target("t", 5).key("t", 6, Some("sk-canary"));
    for (name, version) in aliases {
        controller = controller.alias(name, *version, "first");
    }
    controller.send(&mut store, T0).unwrap();
    (store, controller)
}

pub(super) fn reconnect(store: &mut Store, controller: &Controller, cluster: &str) -> Controller {
    store.disconnect();
    store.connect();
    controller.again(cluster)
}
