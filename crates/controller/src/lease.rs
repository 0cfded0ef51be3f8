//! The Lease, which says which replica writes to the cluster: statuses and Events, nothing else.
//! Every replica serves.
//!
//! As client-go does it: a Lease is replaced on the condition that nobody wrote since it was read,
//! and whether its holder is gone is judged by what was seen of it on this process's own monotonic
//! clock, never by the times that are written in it. Who could not renew for ten seconds writes no
//! more, five seconds before anybody else may.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use routing::ObjectId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, info, warn};

use crate::watch::said;

/// How long a Lease is good that nobody renews.
const DURATION: Duration = Duration::from_secs(15);
/// How long after its last renewal its holder writes.
const RENEWED_FOR: Duration = Duration::from_secs(10);
/// How often it is looked at or renewed.
pub(crate) const PERIOD: Duration = Duration::from_secs(2);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Until when this replica writes; what is past means that it does not.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    until: watch::Receiver<Option<Instant>>,
    /// What [`Leadership::changed`] said last.
    said: bool,
}

impl Leadership {
    /// Where there is no Lease, who is alone always writes.
    pub(crate) fn always() -> Self {
        let far = Instant::now() + Duration::from_secs(100 * 365 * 24 * 60 * 60);
        // The last value outlives its sender.
        Self::of(watch::channel(Some(far)).1)
    }

    fn of(until: watch::Receiver<Option<Instant>>) -> Self {
        Self { until, said: false }
    }

    /// Whether this replica writes now.
    pub(crate) fn leads(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Returns when it has begun or ceased to write since this returned last; at first it has not
    /// begun.
    pub(crate) async fn changed(&mut self) {
        loop {
            let until = *self.until.borrow_and_update();
            let leads = until.is_some_and(|until| Instant::now() < until);
            if leads != self.said {
                self.said = leads;
                return;
            }
            let until = until.filter(|_| leads);
            let changed = async {
                if self.until.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            match until {
                Some(until) => drop(timeout_at(until, changed).await),
                None => changed.await,
            }
        }
    }
}

/// What to do about the Lease as it was read.
#[derive(Debug, PartialEq)]
enum Step {
    /// Somebody else holds it.
    Leave,
    /// Take or renew it: it is to be this.
    Put(LeaseSpec),
}

/// What was seen of a Lease: that it is so since then.
#[derive(Debug)]
struct Seen {
    spec: LeaseSpec,
    since: Instant,
}

/// What is to be done, as a pure state machine.
#[derive(Debug)]
struct Election {
    identity: String,
    seen: Option<Seen>,
}

impl Election {
    /// The Lease was read (`None`: there is none).
    fn step(&mut self, found: Option<&LeaseSpec>, now: Instant, wall: Timestamp) -> Step {
        let renew = Some(MicroTime(wall));
        let whole = DURATION.as_secs();
        let mine = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(whole).ok(),
            renew_time: renew.clone(),
            ..LeaseSpec::default()
        };
        let Some(found) = found else {
            return Step::Put(LeaseSpec {
                acquire_time: renew,
                lease_transitions: Some(0),
                ..mine
            });
        };
        if self.seen.as_ref().is_none_or(|seen| seen.spec != *found) {
            self.seen = Some(Seen { spec: found.clone(), since: now });
        }
        let holder = found.holder_identity.as_deref().unwrap_or_default();
        if holder == self.identity {
            let (acquire_time, lease_transitions) =
                (found.acquire_time.clone(), found.lease_transitions);
            return Step::Put(LeaseSpec { acquire_time, lease_transitions, ..mine });
        }
        let good = found.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let good = good.map_or(DURATION, Duration::from_secs);
        let since = self.seen.as_ref().map_or(now, |seen| seen.since);
        if !holder.is_empty() && now.duration_since(since) < good {
            return Step::Leave;
        }
        let transitions = found.lease_transitions.unwrap_or_default().saturating_add(1);
        Step::Put(LeaseSpec { acquire_time: renew, lease_transitions: Some(transitions), ..mine })
    }
}

/// Takes part in the election.
#[derive(Debug)]
pub(crate) struct Elector {
    leases: Api<Lease>,
    name: String,
    maps: Api<ConfigMap>,
    /// The name of the ConfigMap that it goes with.
    owner: String,
    election: Election,
    tell: watch::Sender<Option<Instant>>,
    told: String,
}

impl Elector {
    /// For the Lease `RELEASE-controller`, under this name.
    pub(crate) fn new(client: Client, release: &ObjectId, identity: &str) -> (Self, Leadership) {
        let (tell, told) = watch::channel(None);
        let elector = Self {
            leases: Api::namespaced(client.clone(), &release.namespace),
            name: format!("{}-controller", release.name),
            maps: Api::namespaced(client, &release.namespace),
            owner: format!("{}-ca", release.name),
            election: Election { identity: identity.to_owned(), seen: None },
            tell,
            told: String::new(),
        };
        (elector, Leadership::of(told))
    }

    /// One look at the Lease; whether the API server answered.
    pub(crate) async fn look(&mut self) -> bool {
        let asked = Instant::now();
        let outcome = match timeout(PATIENCE, self.ask()).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => return false,
        };
        let answered = matches!(outcome, Ok(_) | Err(kube::Error::Api(_)));
        let before = self.tell.borrow().is_some_and(|until| asked < until);
        match outcome {
            Ok(true) => {
                self.tell.send_replace(Some(asked + RENEWED_FOR));
                if !before {
                    info!(lease = self.name, "this replica writes to the cluster");
                }
                self.told.clear();
            }
            Ok(false) => {
                self.tell.send_replace(None);
                if before {
                    warn!(lease = self.name, "another replica writes to the cluster now");
                }
                self.told.clear();
            }
            // Somebody else was faster, or it is renewed with the next look.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => {
                let why = said(&error);
                if self.told == why {
                    debug!(lease = self.name, "cannot take or renew the Lease: {why}");
                } else {
                    warn!(lease = self.name, "cannot take or renew the Lease: {why}");
                    self.told = why;
                }
            }
        }
        answered
    }

    /// Whether this replica holds it after one look.
    async fn ask(&mut self) -> Result<bool, kube::Error> {
        let found = self.leases.get_opt(&self.name).await?;
        let spec = found.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let step = self.election.step(spec.as_ref(), Instant::now(), Timestamp::now());
        let Step::Put(spec) = step else { return Ok(false) };
        let params = PostParams::default();
        match found {
            Some(lease) => {
                let lease = Lease { spec: Some(spec), ..lease };
                self.leases.replace(&self.name, &params, &lease).await?;
            }
            None => {
                let Some(owner) = self.owner().await? else {
                    debug!(lease = self.name, "not made: ConfigMap {} is not there", self.owner);
                    return Ok(false);
                };
                let metadata = ObjectMeta {
                    name: Some(self.name.clone()),
                    owner_references: Some(vec![owner]),
                    ..ObjectMeta::default()
                };
                let lease = Lease { metadata, spec: Some(spec) };
                self.leases.create(&params, &lease).await?;
            }
        }
        Ok(true)
    }

    /// What the Lease goes with when the release is uninstalled: the ConfigMap of whom routers trust,
    /// which this may read anyway. Without it none is made: a controller that ends while its release
    /// is removed would leave one behind.
    async fn owner(&self) -> Result<Option<OwnerReference>, kube::Error> {
        let found = self.maps.get_metadata_opt(&self.owner).await?;
        Ok(found.map(|map| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            name: self.owner.clone(),
            uid: map.metadata.uid.unwrap_or_default(),
            ..OwnerReference::default()
        }))
    }

    /// Gives it back, so that another replica need not wait. Called once nothing more is written.
    pub(crate) async fn release(&mut self) {
        if self.tell.send_replace(None).is_none() {
            return;
        }
        let done = timeout(PATIENCE, async {
            let Some(lease) = self.leases.get_opt(&self.name).await? else { return Ok(()) };
            let mut spec = lease.spec.clone().unwrap_or_default();
            if spec.holder_identity.as_deref() != Some(&self.election.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            let lease = Lease { spec: Some(spec), ..lease };
            self.leases.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
        });
        if let Ok(Err(error)) = done.await {
            debug!(lease = self.name, "the Lease is not given back: {}", said(&error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(identity: &str) -> Election {
        Election { identity: identity.to_owned(), seen: None }
    }

    fn put(step: Step) -> LeaseSpec {
        let Step::Put(spec) = step else { panic!("it is left") };
        spec
    }

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn whether_a_holder_is_gone_is_judged_on_the_own_clock() {
        let now = Instant::now();
        let [mut a, mut b] = ["a", "b"].map(election);
        let lease = put(a.step(None, now, wall(0)));
        assert_eq!(lease.holder_identity.as_deref(), Some("a"));
        // Its times say that it ended long ago: somebody's clock is wrong.
        assert_eq!(b.step(Some(&lease), now, wall(9_000)), Step::Leave);
        let renewed = put(a.step(Some(&lease), now + Duration::from_secs(14), wall(14)));
        assert_eq!(renewed.acquire_time, lease.acquire_time);
        let later = now + Duration::from_secs(15);
        assert_eq!(b.step(Some(&renewed), later, wall(15)), Step::Leave, "it was renewed");
        let almost = later + Duration::from_millis(14_999);
        assert_eq!(b.step(Some(&renewed), almost, wall(29)), Step::Leave);
        let taken = put(b.step(Some(&renewed), later + DURATION, wall(30)));
        assert_eq!(taken.holder_identity.as_deref(), Some("b"));
        assert_eq!(taken.lease_transitions, Some(1));
        assert_eq!(a.step(Some(&taken), later + DURATION, wall(30)), Step::Leave);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_given_back_is_taken_at_once() {
        let now = Instant::now();
        let mut b = election("b");
        let free = LeaseSpec { holder_identity: Some(String::new()), ..LeaseSpec::default() };
        assert_eq!(put(b.step(Some(&free), now, wall(0))).holder_identity.as_deref(), Some("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_renew_writes_no_more() {
        let (tell, told) = watch::channel(None);
        let mut leadership = Leadership::of(told);
        assert!(!leadership.leads());
        tell.send_replace(Some(Instant::now() + RENEWED_FOR));
        leadership.changed().await;
        assert!(leadership.leads());
        let began = Instant::now();
        leadership.changed().await;
        assert!(!leadership.leads());
        assert_eq!(began.elapsed().as_secs(), RENEWED_FOR.as_secs());
        assert!(Leadership::always().leads());
    }
}
