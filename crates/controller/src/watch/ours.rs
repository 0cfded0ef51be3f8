//! What the join must know of our own kinds: which table of the world is theirs, and which objects
//! they name.

use std::collections::{BTreeMap, BTreeSet};

use api::{AccessKey, AccessKeyStatus, ModelAlias, ProviderTarget};
use compiler::World;
use kube::Resource;
use routing::ObjectId;

use super::fetch::Name;
use super::source::Kind;
use crate::status::Text;

/// A kind of ours.
pub(super) trait Ours: Resource<DynamicType = ()> + Clone + Sized {
    const KIND: Kind;
    const WORLD_KIND: compiler::Kind;

    /// Its objects in the world.
    fn table(world: &mut World) -> &mut BTreeMap<ObjectId, compiler::Stored<Self>>;

    /// Whether it says the same.
    fn same(&self, other: &Self) -> bool;

    /// Takes in what of its status it is compiled with.
    fn recall(&mut self, _status: &Text) {}

    /// The objects that it names and that must be read.
    fn names(&self) -> BTreeSet<Name>;
}

impl Ours for ModelAlias {
    const KIND: Kind = Kind::Alias;
    const WORLD_KIND: compiler::Kind = compiler::Kind::Alias;

    fn table(world: &mut World) -> &mut BTreeMap<ObjectId, compiler::Stored<Self>> {
        &mut world.aliases
    }

    fn same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }

    fn names(&self) -> BTreeSet<Name> {
        BTreeSet::new()
    }
}

impl Ours for ProviderTarget {
    const KIND: Kind = Kind::Target;
    const WORLD_KIND: compiler::Kind = compiler::Kind::Target;

    fn table(world: &mut World) -> &mut BTreeMap<ObjectId, compiler::Stored<Self>> {
        &mut world.targets
    }

    fn same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }

    fn names(&self) -> BTreeSet<Name> {
        let Some(namespace) = self.metadata.namespace.as_deref() else { return BTreeSet::new() };
        let name = |kind, name: &str| Name { kind, id: ObjectId::new(namespace, name) };
        let secret = self.spec.auth.secret_ref.as_ref();
        let endpoint = self.spec.endpoint.as_ref();
        let service = endpoint.and_then(|endpoint| endpoint.service.as_ref());
        let tls = endpoint.and_then(|endpoint| endpoint.tls.as_ref());
        let bundle = tls.and_then(|tls| tls.ca_bundle_ref.as_ref());
        [
            secret.map(|secret| name(Kind::Secret, &secret.name)),
            service.map(|service| name(Kind::Service, &service.name)),
            bundle.map(|bundle| name(Kind::ConfigMap, &bundle.name)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Ours for AccessKey {
    const KIND: Kind = Kind::Key;
    const WORLD_KIND: compiler::Kind = compiler::Kind::Key;

    fn table(world: &mut World) -> &mut BTreeMap<ObjectId, compiler::Stored<Self>> {
        &mut world.keys
    }

    fn same(&self, other: &Self) -> bool {
        // One that was made again has nothing of what the other was counted.
        self.spec == other.spec && self.metadata.uid == other.metadata.uid
    }

    fn recall(&mut self, status: &Text) {
        let budget = self.spec.budget.as_ref().and_then(|_| status.member("budget"));
        self.status = budget
            .map(|budget| AccessKeyStatus { budget: Some(budget), ..AccessKeyStatus::default() });
    }

    fn names(&self) -> BTreeSet<Name> {
        let Some(namespace) = self.metadata.namespace.as_deref() else { return BTreeSet::new() };
        if self.spec.service_account.is_some() {
            return BTreeSet::new();
        }
        let name = self.metadata.name.as_deref().unwrap_or_default();
        let id = ObjectId::new(namespace, self.spec.key_ref(name).name);
        BTreeSet::from([Name { kind: Kind::Secret, id }])
    }
}
