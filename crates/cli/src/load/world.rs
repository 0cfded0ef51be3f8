//! From what was loaded to what the compiler reads, and from its findings back to files and lines.

use std::{collections::BTreeMap, sync::Arc};

use api::{AccessKey, ModelAlias, ProviderTarget};
use compiler::{Finding, SecretBytes, SecretData, ServiceFacts, Stored, World};
use kube::Resource;
use routing::ObjectId;

use super::{
    Loaded,
    path::Path,
    problem::{Problem, Severity, Stage},
};

/// The objects of the files.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) aliases: BTreeMap<ObjectId, Arc<ModelAlias>>,
    pub(super) targets: BTreeMap<ObjectId, Arc<ProviderTarget>>,
    pub(super) keys: BTreeMap<ObjectId, Arc<AccessKey>>,
    /// `None`: a variable of its values is not set.
    pub(super) secrets: BTreeMap<ObjectId, Option<Arc<SecretData>>>,
    pub(super) config_maps: BTreeMap<ObjectId, Arc<BTreeMap<String, String>>>,
    pub(super) services: BTreeMap<ObjectId, ServiceFacts>,
    pub(super) namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

impl Loaded {
    /// What the compiler reads. In `moniker dev` there is nothing but the files. Otherwise they
    /// are a part of what a cluster has: Secrets, ConfigMaps and Services that are not among them
    /// are taken to be there and right.
    pub fn world(&self) -> World {
        let objects = &self.objects;
        let aliases = objects.aliases.iter().map(|(id, alias)| (id.clone(), self.stored(alias)));
        let targets = objects.targets.iter().map(|(id, target)| (id.clone(), self.stored(target)));
        let keys = objects.keys.iter().map(|(id, key)| (id.clone(), self.stored(key)));
        let secrets = objects.secrets.iter();
        let secrets =
            secrets.filter_map(|(id, data)| Some((id.clone(), Arc::clone(data.as_ref()?))));
        let mut world = World {
            aliases: aliases.collect(),
            targets: targets.collect(),
            keys: keys.collect(),
            secrets: secrets.collect(),
            config_maps: objects.config_maps.clone(),
            namespaces: Some(self.namespaces()),
            settings: self.options.settings.clone(),
            ..World::default()
        };
        if self.options.settings.dev {
            world.services = Some(objects.services.clone());
        } else {
            suppose(&mut world);
        }
        world
    }

    /// A finding of the compiler, as a problem with its file and line.
    pub fn problem(&self, finding: &Finding) -> Problem {
        let kind = finding.kind.name();
        let path = finding.path.as_deref().map(Path::parse);
        let (file, line) = self.place(kind, &finding.id, &path.clone().unwrap_or_default());
        let severity = if finding.is_warning() { Severity::Warning } else { Severity::Error };
        Problem {
            severity,
            stage: Stage::Compile,
            file,
            line,
            kind: Some(kind.to_owned()),
            object: Some(finding.id.to_string()),
            path: path.map(|path| path.to_string()),
            reason: Some(finding.reason.name().to_owned()),
            message: finding.message.clone(),
        }
    }

    fn stored<T: Resource>(&self, object: &Arc<T>) -> Stored<T> {
        let created = object.meta().creation_timestamp.as_ref();
        Stored {
            version: self.options.version,
            generation: object.meta().generation.unwrap_or(1),
            created: created.map_or(0, |time| time.0.as_second()),
            object: Arc::clone(object),
        }
    }

    /// Every namespace that is named; those without a document have the label that all have.
    fn namespaces(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut namespaces = self.objects.namespaces.clone();
        let objects = &self.objects;
        let ids = objects.aliases.keys().chain(objects.targets.keys()).chain(objects.keys.keys());
        for id in ids {
            let name = id.namespace.to_string();
            let label = ("kubernetes.io/metadata.name".to_owned(), name.clone());
            namespaces.entry(name).or_insert_with(|| BTreeMap::from([label]));
        }
        namespaces
    }
}

/// Puts in what is not among the files and is taken to be in the cluster.
fn suppose(world: &mut World) {
    let mut supposed: BTreeMap<ObjectId, SecretData> = BTreeMap::new();
    for (id, stored) in &mut world.targets {
        let spec = &stored.object.spec;
        if let Some(named) = &spec.auth.secret_ref {
            let secret = ObjectId::new(id.namespace.clone(), named.name.as_str());
            if !world.secrets.contains_key(&secret) {
                // What it holds is not known, and nothing else hangs on it.
                let data = &mut supposed.entry(secret).or_default().data;
                for (key, value) in compiler::supposed(spec.auth.kind, named.key.as_deref()) {
                    data.insert(key, value);
                }
            }
        }
        let tls = spec.endpoint.as_ref().and_then(|endpoint| endpoint.tls.as_ref());
        let bundle = tls.and_then(|tls| tls.ca_bundle_ref.as_ref());
        let bundle = bundle.map(|named| ObjectId::new(id.namespace.clone(), named.name.as_str()));
        if bundle.is_some_and(|bundle| !world.config_maps.contains_key(&bundle)) {
            // No text would do for certificates, and nothing else hangs on them.
            let endpoint = Arc::make_mut(&mut stored.object).spec.endpoint.as_mut();
            if let Some(tls) = endpoint.and_then(|endpoint| endpoint.tls.as_mut()) {
                tls.ca_bundle_ref = None;
            }
        }
    }
    // Nothing hangs on who it is.
    world.issuer = Some(Arc::default());
    for (id, stored) in &world.keys {
        let named = stored.object.spec.key_ref(&id.name);
        let secret = ObjectId::new(id.namespace.clone(), named.name.as_str());
        if !world.secrets.contains_key(&secret) {
            // Nobody's key is another's.
            let value = SecretBytes::new(format!("{id}/{}", named.key).into_bytes());
            supposed.entry(secret).or_default().data.insert(named.key, value);
        }
    }
    world.secrets.extend(supposed.into_iter().map(|(id, data)| (id, Arc::new(data))));
}
