//! Writes down what is served whenever that changes, beside everything else, and reads it once at
//! the start.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use telemetry::{KeptWhat, Metrics};
use tokio::{sync::watch, time::sleep};

use super::{Beginning, Dirs, Refused, Restored, Saved, credentials, snapshot};
use crate::{link::SharedStore, store::Value};

/// How long until a write that failed is tried again: at first, and at most.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// Writes down what a store serves.
#[derive(Debug)]
pub struct Keeper {
    dirs: Dirs,
    store: SharedStore,
    metrics: Arc<Metrics>,
    changed: watch::Sender<u64>,
}

impl Keeper {
    /// One that writes there.
    pub fn new(dirs: Dirs, store: SharedStore, metrics: Arc<Metrics>) -> Result<Self, Refused> {
        if let Some(dir) = &dirs.credentials {
            let in_memory = credentials::in_memory(dir);
            if !in_memory.map_err(|error| Refused::Dir(dir.clone(), error))? {
                return Err(Refused::NotInMemory(dir.clone()));
            }
        }
        Ok(Self { dirs, store, metrics, changed: watch::Sender::new(0) })
    }

    /// What to tell of changes.
    pub fn notify(&self) -> impl Fn() + Send + Sync + 'static {
        let changed = self.changed.clone();
        move || changed.send_modify(|changes| *changes += 1)
    }

    /// What was written down last; `None` where there is nothing to serve from.
    pub(crate) fn read(&self) -> Option<Beginning> {
        let snapshot = snapshot::read(self.dirs.state.as_deref()?)?;
        let mut kept = match &self.dirs.credentials {
            Some(dir) => credentials::read(dir),
            None => credentials::Read::default(),
        };
        let mut usable = std::collections::BTreeMap::new();
        for Restored { key, form, .. } in &snapshot.resources {
            let Some((_, Value::Target(target))) = form else { continue };
            // Meant for somewhere else, it stays unused until a controller sends one.
            if let Some((to, credential)) = kept.credentials.remove(&key.id)
                && to == credentials::destination(target)
            {
                usable.insert(key.id.clone(), credential);
            }
        }
        Some(Beginning {
            cluster: snapshot.cluster,
            resources: snapshot.resources,
            gone: snapshot.gone,
            credentials: usable,
            hashes: kept.hashes,
            hash_key: kept.hash_key,
            admin_token: kept.admin_token,
            age: snapshot.age,
        })
    }

    /// Writes after each change, for ever.
    pub async fn run(self) -> Infallible {
        let mut changes = self.changed.subscribe();
        // What was written last, by which what must not stay there is known.
        let mut last: Option<Arc<Saved>> = None;
        let mut told = String::new();
        loop {
            // Fails only with the sender, which is here.
            let _ = changes.changed().await;
            let mut again = AGAIN[0];
            loop {
                changes.borrow_and_update();
                let failed = self.write(&mut last).await;
                let Err(why) = failed else {
                    told.clear();
                    break;
                };
                if told == why {
                    tracing::debug!("what is served is not written down: {why}");
                } else {
                    tracing::warn!("what is served is not written down, trying again: {why}");
                    told = why;
                }
                tokio::select! {
                    () = sleep(again) => {}
                    _ = changes.changed() => {}
                }
                again = (again * 2).min(AGAIN[1]);
            }
        }
    }

    async fn write(&self, last: &mut Option<Arc<Saved>>) -> Result<(), String> {
        let (dirs, store, before) = (self.dirs.clone(), Arc::clone(&self.store), last.clone());
        let work = move || {
            let saved = store.lock().saved();
            // Credentials first: a revocation waits for nothing.
            let credentials = dirs
                .credentials
                .as_deref()
                .map_or(Ok(()), |dir| credentials::write(dir, &saved, before.as_deref()));
            let snapshot = dirs.state.as_deref().map_or(Ok(()), |dir| snapshot::write(dir, &saved));
            (saved, credentials, snapshot)
        };
        let (saved, credentials, snapshot) =
            tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
        if credentials.is_ok() {
            *last = Some(Arc::new(saved));
        }
        let said = |flag: &str, what: KeptWhat, outcome: io::Result<()>| {
            outcome.map_err(|error| {
                self.metrics.kept_failed(what);
                format!("{flag}: {error}")
            })
        };
        let credentials = said("--credential-dir", KeptWhat::Credentials, credentials);
        said("--state-dir", KeptWhat::Snapshot, snapshot).and(credentials)
    }
}
