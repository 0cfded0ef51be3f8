//! The publisher's plans, on a paused clock: what each router is sent, and when.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::ProviderTarget;
use compiler::{CredentialState, SecretBytes, SecretData, Stored, World, compile};
use routing::{ObjectId, RoutingSnapshot, snapshot::Resource};
use tokio::time::{Instant, advance};
use wire::{Cause, Frame, Held, HeldCredential, HeldHashes, HeldResource, Key, Kind};

use super::{Publication, plan::plan, state::State, view::View};

fn id(name: &str) -> ObjectId {
    ObjectId::new("shop", name)
}

fn secret(version: u64, key: &str) -> (ObjectId, Arc<SecretData>) {
    let data = [("key".to_owned(), SecretBytes::new(key.as_bytes().to_vec()))].into();
    (id("s"), Arc::new(SecretData { version, data, ..SecretData::default() }))
}

/// A target `t` at version 5 whose credential is in the Secret `s`.
fn world(secrets: impl IntoIterator<Item = (ObjectId, Arc<SecretData>)>) -> World {
    let target: ProviderTarget = serde_json::from_value(serde_json::json!({
        "apiVersion": "moniker.dev/v1alpha1", "kind": "ProviderTarget",
        "metadata": {"namespace": "shop", "name": "t", "resourceVersion": "5"},
        "spec": {
            "provider": "OpenAI",
            "auth": {"type": "Bearer", "secretRef": {"name": "s", "key": "key"}},
            "models": [{"name": "m"}],
        },
    }))
    .unwrap();
    let stored = Stored { version: 5, generation: 1, created: 1, object: Arc::new(target) };
    World {
        targets: [(id("t"), stored)].into(),
        secrets: secrets.into_iter().collect(),
        ..World::default()
    }
}

fn publication(world: &World) -> Publication {
    let compiled = compile(world);
    Publication {
        snapshot: Arc::new(compiled.snapshot),
        credentials: compiled.credentials,
        hashes: compiled.hashes,
        hash_key: SecretBytes::new(vec![7; 32]),
        deleted: BTreeMap::new(),
        known: Box::new(|_, _| Some(100)),
    }
}

fn next(before: Option<&State>, publication: Publication) -> State {
    State::next(before, publication, &SecretBytes::new(vec![7; 32]), Instant::now())
}

/// The frames that a router with this view is sent.
fn sent(view: &mut View, state: &State) -> Vec<Frame> {
    let plan = plan(view, state, Instant::now());
    plan.steps.iter().map(|step| step.frame(state).unwrap()).collect()
}

fn credentials(frames: &[Frame]) -> Vec<(u64, bool)> {
    let of = |frame: &Frame| match frame {
        Frame::Credential(frame) => Some((frame.version, frame.credential.is_some())),
        _ => None,
    };
    frames.iter().filter_map(of).collect()
}

/// What a router would say that holds this.
fn held(view: &View) -> Held {
    let of = |kind: Kind, (id, mark): (&ObjectId, &super::view::Mark)| HeldResource {
        kind,
        id: id.clone(),
        version: mark.version,
        digest: mark.digest,
        hold: mark.hold,
    };
    let targets = view.targets.iter().map(|one| of(Kind::Target, one));
    let aliases = view.aliases.iter().map(|one| of(Kind::Alias, one));
    let credentials = view.credentials.iter().map(|(target, (version, hash))| HeldCredential {
        target: target.clone(),
        version: *version,
        hash: *hash,
    });
    let keys = view.keys.iter().map(|one| of(Kind::Key, one));
    let hashes = view.hashes.iter().map(|(id, (version, digest))| HeldHashes {
        id: id.clone(),
        version: *version,
        digest: *digest,
    });
    Held {
        cluster: "one".to_owned(),
        resources: targets.chain(aliases).chain(keys).collect(),
        credentials: credentials.collect(),
        hashes: hashes.collect(),
        hash_key: view.hash_key,
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_credential_is_sent_and_a_deleted_one_revoked_at_once() {
    let first = next(None, publication(&world([secret(8, "sk-1")])));
    let mut view = View::default();
    assert_eq!(credentials(&sent(&mut view, &first)), [(8, true)]);
    assert!(sent(&mut view, &first).is_empty());
    // Another replica has the same hash for it, and so nothing to send.
    let replica = next(None, publication(&world([secret(8, "sk-1")])));
    assert!(sent(&mut View::of(held(&view)), &replica).is_empty());

    let rotated = next(Some(&first), publication(&world([secret(9, "sk-2")])));
    assert_eq!(credentials(&sent(&mut view, &rotated)), [(9, true)]);
    let gone = next(Some(&rotated), publication(&world([])));
    let revoked = credentials(&sent(&mut view, &gone));
    assert_eq!(revoked, [(100, false)], "as of the list that lacks it");
    assert!(view.credentials.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unusable_credential_leaves_the_last_good_one_for_ten_minutes() {
    let good = next(None, publication(&world([secret(8, "sk-1")])));
    let mut view = View::default();
    sent(&mut view, &good);
    let bad = next(Some(&good), publication(&world([secret(9, "Bearer sk-1")])));
    assert!(sent(&mut view, &bad).is_empty());
    // A new router gets the last good one; another edit of the Secret that is no better, and a
    // replica that never saw a good one, extend nothing and take nothing away.
    assert_eq!(credentials(&sent(&mut View::default(), &bad)), [(8, true)]);
    advance(Duration::from_secs(599)).await;
    let worse = next(Some(&bad), publication(&world([secret(10, "")])));
    assert!(sent(&mut view, &worse).is_empty());
    let replica = next(None, publication(&world([secret(10, "")])));
    let mut elsewhere = View::of(held(&view));
    assert!(sent(&mut elsewhere, &replica).is_empty());

    advance(Duration::from_secs(1)).await;
    assert_eq!(credentials(&sent(&mut view, &worse)), [(8, false)]);
    assert!(sent(&mut elsewhere, &replica).is_empty(), "this one counts from when it saw it");
    advance(Duration::from_secs(599)).await;
    assert_eq!(credentials(&sent(&mut elsewhere, &replica)), [(10, false)]);
    let mended = next(Some(&worse), publication(&world([secret(11, "sk-3")])));
    assert_eq!(credentials(&sent(&mut view, &mended)), [(11, true)]);
}

#[tokio::test(start_paused = true)]
async fn deletions_are_remembered_for_ten_minutes() {
    let full = next(None, publication(&world([])));
    let mut view = View::default();
    sent(&mut view, &full);
    let mut late = View::of(held(&view));
    let mut gone = publication(&World::default());
    gone.deleted.insert(Key::target(&id("t")), 20);
    let gone = next(Some(&full), gone);
    let removed = |frames: &[Frame]| match frames {
        [Frame::Remove(remove)] => Some((remove.version, remove.cause)),
        _ => None,
    };
    assert_eq!(removed(&sent(&mut view, &gone)), Some((20, Cause::Deleted)));
    advance(Duration::from_secs(600)).await;
    let later = next(Some(&gone), publication(&World::default()));
    assert_eq!(removed(&sent(&mut late, &later)), Some((100, Cause::Absent)));
}

#[tokio::test(start_paused = true)]
async fn doubted_absences_are_stated_again_of_a_newer_list() {
    let names = (0..20).map(|n| format!("a{n}"));
    let mark = super::view::Mark { version: 7, digest: None, hold: None };
    let mut view =
        View { aliases: names.map(|name| (id(&name), mark)).collect(), ..View::default() };
    let empty = |until: u64| Publication {
        snapshot: Arc::new(RoutingSnapshot::default()),
        credentials: BTreeMap::from([(id("t"), CredentialState::Absent)]),
        hashes: BTreeMap::new(),
        hash_key: SecretBytes::new(vec![7; 32]),
        deleted: BTreeMap::new(),
        known: Box::new(move |_, _| Some(until)),
    };
    let first = next(None, empty(100));
    let planned = plan(&mut view, &first, Instant::now());
    assert!(planned.doubtful);
    assert_eq!(planned.steps.len(), 20);
    assert!(sent(&mut view, &next(Some(&first), empty(100))).is_empty());
    let second = next(Some(&first), empty(101));
    let frames = sent(&mut view, &second);
    assert_eq!(frames.len(), 20);
    assert!(frames.iter().all(|frame| matches!(frame, Frame::Remove(r) if r.version == 101)));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_too_large_keeps_its_form_and_its_credential() {
    let good = next(None, publication(&world([secret(8, "sk-1")])));
    let mut view = View::default();
    sent(&mut view, &good);
    let large = |secrets: Vec<_>| {
        let mut publication = publication(&world(secrets));
        let targets = &mut Arc::make_mut(&mut publication.snapshot).targets;
        if let Some(Resource::Value { value, .. }) = targets.get_mut(&id("t")) {
            value.endpoint.ca_bundle = Some("x".repeat(wire::MAX_RESOURCE));
        }
        publication.snapshot = Arc::new(digested(&publication.snapshot));
        publication
    };
    let held = next(Some(&good), large(vec![secret(9, "sk-2")]));
    let frames = sent(&mut view, &held);
    assert!(matches!(frames.as_slice(), [Frame::Hold(_)]), "{frames:?}");
    let gone = next(Some(&held), large(vec![]));
    assert_eq!(credentials(&sent(&mut view, &gone)), [(100, false)]);
    let new = next(None, large(vec![secret(9, "sk-2")]));
    assert_eq!(credentials(&sent(&mut View::default(), &new)), []);
}

/// The snapshot with digests of what its targets are now.
fn digested(snapshot: &RoutingSnapshot) -> RoutingSnapshot {
    let mut snapshot = snapshot.clone();
    for resource in snapshot.targets.values_mut() {
        if let Resource::Value { digest, value, .. } = resource {
            *digest = routing::Digest::of(&serde_json::to_vec(value).unwrap());
        }
    }
    snapshot
}

#[tokio::test(start_paused = true)]
async fn what_goes_a_second_time_goes_as_of_then() {
    let of = |version| {
        let mut world = world([]);
        for stored in world.targets.values_mut() {
            stored.version = version;
        }
        publication(&world)
    };
    let mut view = View::default();
    let mut removed = |before: &State| {
        let state = next(Some(before), publication(&World::default()));
        let frames = sent(&mut view, before).into_iter().chain(sent(&mut view, &state));
        let removed = frames.filter_map(|frame| match frame {
            Frame::Remove(remove) => Some((remove.cause, remove.version)),
            _ => None,
        });
        (removed.collect::<Vec<_>>(), state)
    };
    // Not seen to be deleted, nor missing from a new list: as the loser of a conflict.
    let (first, gone) = removed(&next(None, of(5)));
    assert_eq!(first, [(Cause::Deleted, 5)]);
    let (second, _) = removed(&next(Some(&gone), of(9)));
    assert_eq!(second, [(Cause::Deleted, 9)], "5 is older than what routers hold");
}
