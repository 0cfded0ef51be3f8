//! Keeps the objects of the release filled, and the stream's certificate fresh.
//!
//! Every replica does so: what is written is written on the condition that nobody wrote since, and
//! who loses reads again. What was known is written back where it is found empty, so that an
//! object that is emptied or made anew costs nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use compiler::SecretBytes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client};
use routing::ObjectId;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::authority::{Authority, SERVED};
use super::bundle::Bundle;
use super::certificate::{Certificates, Pair};
use super::keys::Keys;
use super::objects::{Failed, read, write};

/// How often the objects are looked at.
const PERIOD: Duration = Duration::from_secs(5);
/// A certificate is renewed once this part of its time is over.
const RENEWED: Duration = Duration::from_secs(SERVED.as_secs() / 3 * 2);
/// How long somebody else's new authority is in the bundle before its certificate is served, and how
/// long what it replaced stays there.
const AHEAD: Duration = Duration::from_mins(10);
const AFTER: Duration = Duration::from_secs(24 * 60 * 60);

const CA: &str = "ca.crt";
const KEY: &str = "key";
const TLS_CERTIFICATE: &str = "tls.crt";
const TLS_KEY: &str = "tls.key";

/// What a keeper is set up with.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    /// Namespace and name that the objects are called by.
    pub(crate) release: ObjectId,
    /// The names that the stream is served under.
    pub(crate) names: Vec<String>,
    /// The Secret that somebody else (cert-manager) keeps a certificate in.
    pub(crate) tls_secret: Option<String>,
}

impl Set {
    /// Of this release, whose Service is `RELEASE-controller`.
    pub(crate) fn new(release: ObjectId, domain: &str, tls_secret: Option<String>) -> Self {
        let ObjectId { namespace, name } = &release;
        let service = format!("{name}-controller");
        let names = vec![
            service.clone(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.{domain}"),
        ];
        Self { release, names, tls_secret }
    }
}

/// A certificate of somebody else, as it was read.
#[derive(Debug, PartialEq)]
struct Foreign {
    digest: routing::Digest,
    authority: Bundle,
}

/// Keeps them.
#[derive(Debug)]
pub(crate) struct Keeper {
    set: Set,
    secrets: Api<Secret>,
    maps: Api<ConfigMap>,
    certificates: Certificates,
    authority: Option<Authority>,
    /// By which signer the certificate that is served was issued, and when it is renewed.
    issued: Option<(String, Timestamp)>,
    /// Somebody else's certificate that is served.
    foreign: Option<Foreign>,
    /// Since when the bundle has the authority of one that is not served yet.
    ahead: Option<(Bundle, Instant)>,
    /// Since when the bundle has more than is wanted.
    surplus: Option<Instant>,
    secret: Option<SecretBytes>,
    /// What was said last of each, so that nothing is said over and over.
    told: BTreeMap<&'static str, String>,
}

impl Keeper {
    /// Of these objects, for these certificates.
    pub(crate) fn new(client: &Client, set: Set, certificates: Certificates) -> Self {
        let namespace = &set.release.namespace;
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            maps: Api::namespaced(client.clone(), namespace),
            set,
            certificates,
            authority: None,
            issued: None,
            foreign: None,
            ahead: None,
            surplus: None,
            secret: None,
            told: BTreeMap::new(),
        }
    }

    /// Looks until a certificate is served and the keys are known.
    pub(crate) async fn ready(&mut self) -> Keys {
        loop {
            let again = self.look().await;
            let serves = self.issued.is_some() || self.foreign.is_some();
            if let Some(keys) = self.secret.as_ref().filter(|_| serves).and_then(Keys::of) {
                return keys;
            }
            if !again {
                // Nobody can follow the stream meanwhile.
                sleep(PERIOD / 5).await;
            }
        }
    }

    /// Keeps them for ever.
    pub(crate) async fn run(mut self) -> Infallible {
        loop {
            sleep(PERIOD).await;
            while self.look().await {}
        }
    }

    /// Looks at everything once; whether to look again at once, since somebody else wrote first.
    async fn look(&mut self) -> bool {
        let keys = self.keys().await;
        let stream = if self.set.tls_secret.is_some() {
            self.foreign().await
        } else {
            self.own(Timestamp::now()).await
        };
        // Both are told.
        let keys = self.outcome("keys", keys);
        let stream = self.outcome("certificate", stream);
        keys || stream
    }

    fn outcome(&mut self, of: &'static str, outcome: Result<(), Failed>) -> bool {
        match outcome {
            Ok(()) => {
                if self.told.remove(of).is_some() {
                    info!(of, "the stream's objects are as they should be again");
                }
                false
            }
            Err(Failed::Conflict) => {
                debug!(of, "another controller wrote first");
                true
            }
            Err(Failed::Said(why)) => {
                if self.told.get(of) != Some(&why) {
                    warn!(of, "the stream's objects are not as they should be: {why}");
                    self.told.insert(of, why);
                }
                false
            }
        }
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.set.release.name)
    }

    /// The secret that keys are derived from.
    async fn keys(&mut self) -> Result<(), Failed> {
        let name = self.name("keys");
        let found = read(&self.secrets, &name).await?;
        let value = found.as_ref().and_then(|secret| secret.data.as_ref()?.get(KEY));
        match value.filter(|value| !value.0.is_empty()) {
            Some(value) => {
                let secret = SecretBytes::new(value.0.clone());
                if Keys::of(&secret).is_none() {
                    let least = super::keys::LENGTH;
                    return Err(Failed::Said(format!(
                        "Secret {name} has fewer than {least} bytes at {KEY}: empty it, and the \
                         controller fills it"
                    )));
                }
                match &self.secret {
                    Some(known) if *known != secret => Err(Failed::Said(format!(
                        "Secret {name} has another {KEY} than this controller started with: \
                         restart the controllers to use it"
                    ))),
                    _ => {
                        self.secret = Some(secret);
                        Ok(())
                    }
                }
            }
            None => {
                let secret = match &self.secret {
                    Some(known) => known.clone(),
                    None => Keys::secret()
                        .map_err(|_| Failed::Said("the system has no randomness".to_owned()))?,
                };
                lost(found.is_some(), self.secret.is_some(), "Secret", &name);
                let data = [(KEY.to_owned(), ByteString(secret.expose().to_vec()))].into();
                write(&self.secrets, &name, found, data).await?;
                self.secret = Some(secret);
                Ok(())
            }
        }
    }

    /// The release's own authority, its bundle, and a certificate by it.
    async fn own(&mut self, now: Timestamp) -> Result<(), Failed> {
        let name = self.name("ca");
        // The bundle is read first: who has changed the authority since has changed it too, and
        // then writing it fails.
        let map = read(&self.maps, &name).await?;
        let found = read(&self.secrets, &name).await?;
        let data = found.as_ref().and_then(|secret| secret.data.clone()).unwrap_or_default();
        let unusable = |error| {
            Failed::Said(format!(
                "Secret {name} holds no authority: {error}; empty it, and the controller fills it"
            ))
        };
        let authority = match Authority::of(&data).map_err(unusable) {
            Ok(Some(authority)) => authority,
            Err(unusable) if self.authority.is_none() => return Err(unusable),
            Ok(None) | Err(_) => {
                let authority = match self.authority.clone() {
                    Some(known) => known,
                    None => Authority::new(now).map_err(|error| {
                        Failed::Said(format!("no authority can be made: {error}"))
                    })?,
                };
                lost(found.is_some(), self.authority.is_some(), "Secret", &name);
                write(&self.secrets, &name, found, authority.data()).await?;
                self.authority = Some(authority);
                return Err(Failed::Conflict);
            }
        };
        self.authority = Some(authority.clone());
        self.bundle(map, &authority.bundle(), true).await?;
        if let Some(after) = authority
            .step(now, true)
            .map_err(|error| Failed::Said(format!("no new authority can be made: {error}")))?
        {
            write(&self.secrets, &name, found, after.data()).await?;
            info!("the stream's authority was moved on");
            self.authority = Some(after);
            // Its bundle may be another one.
            return Err(Failed::Conflict);
        }
        let due = self
            .issued
            .as_ref()
            .is_none_or(|(signer, renewed)| signer != authority.signer() || now >= *renewed);
        if due {
            let pair = authority
                .issue(&self.set.names, now)
                .map_err(|error| Failed::Said(error.to_string()))?;
            self.certificates.serve(pair);
            self.issued = Some((authority.signer().to_owned(), now + RENEWED));
            info!(names = self.set.names.join(" "), "a new certificate is served");
        }
        Ok(())
    }

    /// Writes the bundle, unless it says that already. `exactly`: what more it has is taken away at
    /// once, and not after a day.
    async fn bundle(
        &mut self,
        map: Option<ConfigMap>,
        wanted: &Bundle,
        exactly: bool,
    ) -> Result<(), Failed> {
        let text = map.as_ref().and_then(|map| map.data.as_ref()?.get(CA));
        let stands = text.map(|text| Bundle::of(text)).unwrap_or_default();
        let write_this = if stands == *wanted {
            self.surplus = None;
            return Ok(());
        } else if exactly || !stands.has(wanted) {
            if exactly { wanted.clone() } else { wanted.with(&stands) }
        } else {
            let since = *self.surplus.get_or_insert_with(Instant::now);
            if since.elapsed() < AFTER {
                return Ok(());
            }
            wanted.clone()
        };
        let name = self.name("ca");
        let data = [(CA.to_owned(), write_this.text())].into();
        write(&self.maps, &name, map, data).await?;
        info!(configmap = name, "routers are told whom to trust");
        Ok(())
    }

    /// The certificate that somebody else keeps.
    async fn foreign(&mut self) -> Result<(), Failed> {
        let name = self.set.tls_secret.clone().unwrap_or_default();
        let map = read(&self.maps, &self.name("ca")).await?;
        let found = read(&self.secrets, &name).await?;
        let data = found.and_then(|secret| secret.data).unwrap_or_default();
        let value = |key: &str| data.get(key).map(|value| value.0.as_slice()).unwrap_or_default();
        let authority = Bundle::of(&String::from_utf8_lossy(value(CA)));
        if authority.is_empty() {
            return Err(Failed::Said(format!(
                "Secret {name} (--tls-secret) has no certificate at {CA}, so routers cannot be told \
                 whom to trust"
            )));
        }
        let pair = Pair::new(value(TLS_CERTIFICATE), value(TLS_KEY)).map_err(|error| {
            Failed::Said(format!(
                "Secret {name} (--tls-secret) has no certificate of the stream: {TLS_CERTIFICATE}, \
                 {TLS_KEY}: {error}"
            ))
        })?;
        let digest = routing::Digest::of_parts([value(TLS_CERTIFICATE), value(TLS_KEY)]);
        let new = Foreign { digest, authority };
        if self.foreign.as_ref() == Some(&new) {
            return self.bundle(map, &new.authority, false).await;
        }
        // What is served now must be trusted until the new one is served, and routers must have
        // read of the new authority by then.
        let wanted = match &self.foreign {
            Some(served) => new.authority.with(&served.authority),
            None => new.authority.clone(),
        };
        self.bundle(map, &wanted, false).await?;
        if self.foreign.as_ref().is_some_and(|served| !served.authority.has(&new.authority)) {
            let (of, since) = self
                .ahead
                .take()
                .filter(|(of, _)| *of == new.authority)
                .unwrap_or_else(|| (new.authority.clone(), Instant::now()));
            if since.elapsed() < AHEAD {
                self.ahead = Some((of, since));
                return Ok(());
            }
        }
        self.certificates.serve(pair);
        self.foreign = Some(new);
        info!(secret = name, "a new certificate is served");
        Ok(())
    }
}

/// Says that an object which was filled is found empty, or gone.
fn lost(found: bool, known: bool, kind: &str, name: &str) {
    match (found, known) {
        (_, false) => info!("{kind} {name} is empty: filling it"),
        (true, true) => warn!("{kind} {name} was emptied: filling it with what it had"),
        (false, true) => warn!("{kind} {name} was deleted: making it again with what it had"),
    }
}
