//! Makes the Secrets of AccessKeys that name none: a random key, in a Secret that goes with its
//! AccessKey. Only who holds the Lease does, and a Secret that is there is never written to: of two
//! that try the second is refused, so that no race and no restart changes a key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::AccessKey;
use api::key::GENERATED_KEY;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource as _};
use routing::ObjectId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::lease::Leadership;
use crate::watch::{Backoff, said};

/// How many are made at once.
const AT_ONCE: usize = 4;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the news of one that was made may take to come.
const NEWS: Duration = Duration::from_secs(30);
/// How long the public part is, and the secret one: 40 and 260 bits.
const PARTS: [usize; 2] = [8, 52];
/// Letters and digits that are not taken for each other; 32, so that each is as likely.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A Secret that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its name.
    pub(crate) secret: ObjectId,
    /// The uid of its AccessKey.
    pub(crate) uid: String,
}

/// Those that are to be made, by AccessKey.
pub(crate) type AllMissing = BTreeMap<ObjectId, Missing>;

/// Makes what is missing until nobody tells any more.
pub(crate) async fn run(
    client: Client,
    mut leadership: Leadership,
    mut missing: watch::Receiver<Arc<AllMissing>>,
) {
    let mut queue: BTreeSet<(Instant, ObjectId)> = BTreeSet::new();
    let mut known: BTreeMap<ObjectId, (Missing, Backoff)> = BTreeMap::new();
    let mut tasks: JoinSet<(ObjectId, Result<bool, Failed>)> = JoinSet::new();
    loop {
        let free = leadership.leads() && tasks.len() < AT_ONCE;
        let due = queue.first().map(|(due, _)| *due).filter(|_| free);
        tokio::select! {
            changed = missing.changed() => {
                if changed.is_err() {
                    break;
                }
                let now = missing.borrow_and_update().clone();
                known.retain(|id, (one, _)| now.get(id) == Some(one));
                queue.retain(|(_, id)| known.contains_key(id));
                for (id, one) in now.iter().filter(|(id, _)| !known.contains_key(*id)).collect::<Vec<_>>() {
                    known.insert(id.clone(), (one.clone(), Backoff::default()));
                    queue.insert((Instant::now(), id.clone()));
                }
            }
            () = leadership.changed() => {}
            Some(Ok((id, done))) = tasks.join_next() => {
                // One that is no longer missing is no longer here.
                let Some((one, backoff)) = known.get_mut(&id) else { continue };
                let delay = match done {
                    Ok(made) => {
                        if made {
                            info!("made Secret {} for AccessKey {id}", one.secret);
                        }
                        backoff.reset();
                        NEWS
                    }
                    Err(failed) => failed.told(&id, &one.secret, backoff),
                };
                queue.insert((Instant::now() + delay, id));
            }
            () = at(due) => {
                let Some((_, id)) = queue.pop_first() else { continue };
                let Some((one, _)) = known.get(&id) else { continue };
                let (client, one) = (client.clone(), one.clone());
                tasks.spawn(async move {
                    let done = make(client, &id, one).await;
                    (id, done)
                });
            }
        }
    }
}

/// Why none was made.
#[derive(Debug)]
enum Failed {
    Refused(kube::Error),
    Silent,
    /// The system gives no random numbers.
    NoChance,
}

impl Failed {
    /// Tells it; how long to wait.
    fn told(self, id: &ObjectId, secret: &ObjectId, backoff: &mut Backoff) -> Duration {
        let (why, delay) = match self {
            Self::Refused(error) => (said(&error), backoff.after(&error)),
            Self::Silent => ("the API server does not answer".to_owned(), backoff.next()),
            Self::NoChance => ("there are no random numbers".to_owned(), backoff.next()),
        };
        warn!("cannot make Secret {secret} for AccessKey {id}, again in {delay:.1?}: {why}");
        delay
    }
}

/// Makes one; whether it did, and not somebody else before.
async fn make(client: Client, id: &ObjectId, missing: Missing) -> Result<bool, Failed> {
    let secrets: Api<Secret> = Api::namespaced(client, &id.namespace);
    let secret = secret(id, missing).map_err(|_| Failed::NoChance)?;
    match timeout(PATIENCE, secrets.create(&PostParams::default(), &secret)).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => Ok(false),
        Ok(Err(error)) => Err(Failed::Refused(error)),
        Err(_elapsed) => Err(Failed::Silent),
    }
}

/// A Secret with a new key. Its owner may be deleted whether the Secret is or not.
fn secret(id: &ObjectId, missing: Missing) -> Result<Secret, aws_lc_rs::error::Unspecified> {
    let owner = OwnerReference {
        api_version: AccessKey::api_version(&()).into_owned(),
        kind: AccessKey::kind(&()).into_owned(),
        name: id.name.to_string(),
        uid: missing.uid,
        controller: Some(true),
        block_owner_deletion: None,
    };
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(missing.secret.name.to_string()),
            namespace: Some(missing.secret.namespace.to_string()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            GENERATED_KEY.to_owned(),
            ByteString(key()?.as_bytes().to_vec()),
        )])),
        ..Secret::default()
    })
}

/// `mk-PUBLIC-SECRET`, from the system's randomness.
fn key() -> Result<Zeroizing<String>, aws_lc_rs::error::Unspecified> {
    let mut key = Zeroizing::new(String::with_capacity(64));
    key.push_str("mk");
    for length in PARTS {
        let mut bytes = Zeroizing::new(vec![0; length]);
        aws_lc_rs::rand::fill(&mut bytes)?;
        key.push('-');
        key.extend(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])));
    }
    Ok(key)
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_one_form_and_all_different() {
        let keys: BTreeSet<String> = (0..100).map(|_| key().unwrap().to_string()).collect();
        assert_eq!(keys.len(), 100);
        for key in keys {
            let parts: Vec<&str> = key.split('-').collect();
            assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [2, 8, 52], "{key}");
            assert!(key.starts_with("mk-"));
        }
    }
}
