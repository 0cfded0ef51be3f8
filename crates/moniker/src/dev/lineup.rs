//! The files of `moniker dev` as they are loaded and compiled, again and again.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use cli::load::{self, Loaded, Problem, Severity};
use compiler::{
    Compiled, CredentialState, KeyState, Namespaces, SecretBytes, Settings, World, compile,
};
use controller::publish::Publication;
use router::store::Applied;
use routing::{
    Digest,
    id::ObjectId,
    key::KeyHash,
    snapshot::{Resource, Visibility},
};
use wire::Key;

use super::{SAMPLE_PATH, key};

/// What a load came to.
pub(super) enum Outcome {
    /// It can be served; what stands here is worth knowing.
    Good(Vec<Problem>),
    /// It cannot: the last good lineup goes on.
    Bad(Vec<Problem>),
    /// Nothing is different from the load before.
    Same,
}

/// The files, and what became of them.
pub(super) struct Lineup {
    paths: Vec<PathBuf>,
    /// What is served without paths.
    sample: String,
    namespace: String,
    key: SecretBytes,
    /// What the hashes of callers' keys are made with.
    hash_key: SecretBytes,
    /// The number of the load, which is the version of all its objects.
    number: u64,
    /// What is published, or is to be.
    compiled: Compiled,
    /// What was published before, for what is gone since.
    published: Option<Vec<Key>>,
    last: Option<(Digest, Vec<Problem>)>,
    summary: String,
    missing: BTreeMap<ObjectId, Option<String>>,
}

impl Lineup {
    pub(super) fn new(paths: Vec<PathBuf>, sample: String, namespace: String) -> Self {
        Self {
            paths,
            sample,
            namespace,
            key: key(),
            hash_key: key(),
            number: 0,
            compiled: Compiled::default(),
            published: None,
            last: None,
            summary: String::new(),
            missing: BTreeMap::new(),
        }
    }

    /// What was loaded, in a few words.
    pub(super) fn summary(&self) -> &str {
        &self.summary
    }

    /// Secrets that targets name and that are not there, each with the key that it lacks; without one
    /// it is an access key of AWS.
    pub(super) fn missing(&self) -> &BTreeMap<ObjectId, Option<String>> {
        &self.missing
    }

    /// What is served.
    pub(super) fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// A model to try: the first that callers may name.
    pub(super) fn example(&self) -> Option<&str> {
        let aliases = self.compiled.snapshot.aliases.values().filter_map(|a| a.value());
        let mut usable = aliases.filter(|alias| {
            alias.visibility == Visibility::Public
                && !alias.candidates.is_empty()
                && *alias.id.namespace == *self.namespace
        });
        // An alias of the name that the guide uses, if it is there.
        let first = usable.next()?;
        Some(usable.find(|a| a.model.ends_with("chat")).unwrap_or(first).model.as_str())
    }

    /// Reads the files and compiles them.
    pub(super) fn load(&mut self) -> Outcome {
        self.number += 1;
        let loaded = self.read();
        self.summary = format!("{} objects in {}", loaded.objects(), self.source(&loaded));
        if !loaded.is_fine() {
            let problems = loaded.problems;
            return self.told(None, problems).map_or(Outcome::Same, Outcome::Bad);
        }
        let mut world = loaded.world();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        world.now = i64::try_from(now.as_secs()).ok();
        self.missing = missing(&world);
        let compiled = compile(&world);
        let mut problems = loaded.problems.clone();
        problems.extend(compiled.findings.iter().map(|finding| loaded.problem(finding)));
        problems.sort_by_key(|p| (p.severity == Severity::Warning, p.line));
        // A new key is a change too, though no revision tells it.
        let mut parts = vec![compiled.snapshot.revision.as_bytes()];
        let targets = compiled.statuses.targets.values();
        parts.extend(targets.filter_map(|s| s.credential_version.as_deref()).map(str::as_bytes));
        let hashes = compiled.hashes.values().map(|state| match state {
            KeyState::Present { hashes, .. } => KeyHash::digest(hashes),
            KeyState::Absent | KeyState::Invalid { .. } => Digest::default(),
        });
        let hashes: Vec<Digest> = hashes.collect();
        parts.extend(hashes.iter().map(Digest::as_bytes));
        let revision = Digest::of_parts(parts);
        self.compiled = compiled;
        self.told(Some(revision), problems).map_or(Outcome::Same, Outcome::Good)
    }

    /// The problems, unless the load before came to the same.
    fn told(&mut self, revision: Option<Digest>, problems: Vec<Problem>) -> Option<Vec<Problem>> {
        let now = (revision.unwrap_or_default(), problems);
        if self.last.as_ref() == Some(&now) {
            return None;
        }
        let problems = now.1.clone();
        self.last = Some(now);
        Some(problems)
    }

    fn read(&self) -> Loaded {
        let options = load::Options {
            namespace: self.namespace.clone(),
            version: self.number,
            settings: Settings {
                exporting_namespaces: Namespaces::All,
                workload_identity_namespaces: Namespaces::All,
                dev: true,
                credential_version_key: self.key.clone(),
                key_hash_key: self.hash_key.clone(),
                ..Settings::default()
            },
            ..load::Options::default()
        };
        if self.paths.is_empty() {
            return load::load_text(SAMPLE_PATH, &self.sample, options);
        }
        load::load(&self.paths, options)
    }

    fn source(&self, loaded: &Loaded) -> String {
        match self.paths.as_slice() {
            [] => format!("the sample that this binary carries ({SAMPLE_PATH} in the project)"),
            [path] => path.display().to_string(),
            _ => format!("{} files", loaded.files()),
        }
    }

    /// Whether this is what is to be served, its credentials too.
    pub(super) fn is(&self, applied: &Applied) -> bool {
        let snapshot = &self.compiled.snapshot;
        // A router keeps no credential of a target that it does not have.
        let has = |target: &ObjectId| {
            matches!(snapshot.targets.get(target), Some(Resource::Value { .. }))
        };
        let same = |(target, state): (&ObjectId, &CredentialState)| {
            let held = applied.credentials.get(target);
            match state {
                CredentialState::Present { material, .. } => {
                    held.is_some_and(|h| h.material() == material)
                }
                CredentialState::Absent => held.is_none(),
                // The last good one goes on, if there was one.
                CredentialState::Invalid { .. } => true,
            }
        };
        let known = |(id, state): (&ObjectId, &KeyState)| {
            let held = applied.hashes.get(id).map(|held| &*held.hashes);
            match state {
                KeyState::Present { hashes, .. } => held == Some(hashes),
                KeyState::Absent => held.is_none(),
                KeyState::Invalid { .. } => true,
            }
        };
        applied.snapshot.revision == snapshot.revision
            && self.compiled.hashes.iter().all(known)
            && self.compiled.credentials.iter().filter(|(target, _)| has(target)).all(same)
    }

    /// What to publish.
    pub(super) fn publication(&mut self) -> Publication {
        let snapshot = Arc::new(self.compiled.snapshot.clone());
        let keys: Vec<Key> = snapshot
            .aliases
            .keys()
            .map(Key::alias)
            .chain(snapshot.targets.keys().map(Key::target))
            .chain(snapshot.keys.keys().map(Key::access_key))
            .collect();
        let before = self.published.replace(keys.clone()).unwrap_or_default();
        let version = self.number;
        let gone = before.into_iter().filter(|key| !keys.contains(key));
        let deleted: BTreeMap<Key, u64> = gone.map(|key| (key, version)).collect();
        Publication {
            snapshot,
            credentials: self.compiled.credentials.clone(),
            hashes: self.compiled.hashes.clone(),
            hash_key: self.hash_key.clone(),
            deleted,
            known: Box::new(move |_, _| Some(version)),
        }
    }
}

/// Secrets that targets name and that are not there, each with the key that it lacks; without one
/// it is an access key of AWS.
fn missing(world: &World) -> BTreeMap<ObjectId, Option<String>> {
    let wanted = world.targets.iter().filter_map(|(id, stored)| {
        let wanted = stored.object.spec.auth.secret_ref.as_ref()?;
        Some((ObjectId::new(id.namespace.clone(), wanted.name.as_str()), wanted.key.clone()))
    });
    wanted.filter(|(name, _)| !world.secrets.contains_key(name)).collect()
}
