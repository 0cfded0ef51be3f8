//! The authority that signs for the stream: what signs now, what will, and what did. Pure: the time
//! is an argument.
//!
//! A new signer is trusted by routers ten minutes before anything is signed by it, and the old one
//! for a day after: a ConfigMap takes a minute or two to reach a pod.

use std::collections::BTreeMap;
use std::time::Duration;

use compiler::SecretBytes;
use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::bundle::Bundle;
use super::certificate::Pair;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a signer is valid.
const VALID: Duration = Duration::from_secs(365 * DAY.as_secs());
/// After so long its successor is made.
const SUCCEEDED: Duration = Duration::from_secs(305 * DAY.as_secs());
/// How long a new signer is in the bundle before it signs.
const AHEAD: Duration = Duration::from_mins(10);
/// How long an old signer stays in the bundle.
const AFTER: Duration = DAY;
/// How long a server's certificate is valid.
pub(super) const SERVED: Duration = DAY;
/// Clocks differ: nothing is valid only from now on.
const SKEW: Duration = Duration::from_secs(60 * 60);
/// The name of every signer. Two of one name are told apart by their keys.
const NAME: &str = "moniker stream";

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
const MADE: &str = "ca.made";
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const NEXT_MADE: &str = "next.made";
const NEXT_BUNDLED: &str = "next.bundled";
const PREVIOUS: &str = "previous.crt";
const PREVIOUS_UNTIL: &str = "previous.until";

/// What signs.
#[derive(Clone, Debug, PartialEq)]
struct Signer {
    certificate: String,
    key: SecretBytes,
    made: Timestamp,
}

/// What will sign.
#[derive(Clone, Debug, PartialEq)]
struct Next {
    signer: Signer,
    /// Since when routers are told to trust it.
    bundled: Option<Timestamp>,
}

/// What signed.
#[derive(Clone, Debug, PartialEq)]
struct Previous {
    certificate: String,
    until: Timestamp,
}

/// The authority.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Authority {
    current: Signer,
    next: Option<Next>,
    previous: Option<Previous>,
}

/// What a Secret holds is no authority.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it has {CERTIFICATE}, {KEY} and {MADE} not all three")]
    Incomplete,
    #[error("its {0} is not text")]
    NotText(&'static str),
    #[error("its {0} is no time")]
    NoTime(&'static str),
    #[error("its {KEY} is not the key of its {CERTIFICATE}: {0}")]
    NoPair(#[source] super::certificate::Unusable),
}

impl Signer {
    fn new(now: Timestamp) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params();
        params.not_before = system(now - SKEW).into();
        params.not_after = system(now + VALID).into();
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key: SecretBytes::new(key.serialize_pem().into_bytes()), made: now })
    }
}

/// What every signer is like.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn system(at: Timestamp) -> std::time::SystemTime {
    at.into()
}

impl Authority {
    /// A new one.
    pub(super) fn new(now: Timestamp) -> Result<Self, rcgen::Error> {
        Ok(Self { current: Signer::new(now)?, next: None, previous: None })
    }

    /// What a Secret holds; `None`: nothing.
    pub(super) fn of(data: &BTreeMap<String, ByteString>) -> Result<Option<Self>, Unusable> {
        let text = |name: &'static str| match data.get(name).filter(|value| !value.0.is_empty()) {
            Some(value) => std::str::from_utf8(&value.0)
                .map(|text| Some(text.to_owned()))
                .map_err(|_| Unusable::NotText(name)),
            None => Ok(None),
        };
        let time = |name: &'static str| {
            let parsed = text(name)?.map(|text| text.parse().map_err(|_| Unusable::NoTime(name)));
            parsed.transpose()
        };
        let signer = |certificate, key, made| {
            let secret = |text: String| SecretBytes::new(text.into_bytes());
            match (text(certificate)?, text(key)?.map(secret), time(made)?) {
                (None, None, None) => Ok(None),
                (Some(certificate), Some(key), Some(made)) => {
                    Pair::new(certificate.as_bytes(), key.expose()).map_err(Unusable::NoPair)?;
                    Ok(Some(Signer { certificate, key, made }))
                }
                _ => Err(Unusable::Incomplete),
            }
        };
        let Some(current) = signer(CERTIFICATE, KEY, MADE)? else { return Ok(None) };
        let next = match signer(NEXT_CERTIFICATE, NEXT_KEY, NEXT_MADE)? {
            Some(signer) => Some(Next { signer, bundled: time(NEXT_BUNDLED)? }),
            None => None,
        };
        let previous = match (text(PREVIOUS)?, time(PREVIOUS_UNTIL)?) {
            (Some(certificate), Some(until)) => Some(Previous { certificate, until }),
            _ => None,
        };
        Ok(Some(Self { current, next, previous }))
    }

    /// What the Secret is to hold.
    pub(super) fn data(&self) -> BTreeMap<String, ByteString> {
        let mut data = BTreeMap::new();
        let mut put = |name: &str, value: &[u8]| {
            data.insert(name.to_owned(), ByteString(value.to_vec()));
        };
        put(CERTIFICATE, self.current.certificate.as_bytes());
        put(KEY, self.current.key.expose());
        put(MADE, self.current.made.to_string().as_bytes());
        if let Some(Next { signer, bundled }) = &self.next {
            put(NEXT_CERTIFICATE, signer.certificate.as_bytes());
            put(NEXT_KEY, signer.key.expose());
            put(NEXT_MADE, signer.made.to_string().as_bytes());
            if let Some(at) = bundled {
                put(NEXT_BUNDLED, at.to_string().as_bytes());
            }
        }
        if let Some(Previous { certificate, until }) = &self.previous {
            put(PREVIOUS, certificate.as_bytes());
            put(PREVIOUS_UNTIL, until.to_string().as_bytes());
        }
        data
    }

    /// The certificates that routers are to trust: what signs, what will, what did.
    pub(super) fn bundle(&self) -> Bundle {
        let next = self.next.as_ref().map(|next| next.signer.certificate.as_str());
        let previous = self.previous.as_ref().map(|previous| previous.certificate.as_str());
        let all = [Some(self.current.certificate.as_str()), next, previous];
        Bundle::of(&all.into_iter().flatten().collect::<String>())
    }

    /// What time has brought; `bundled`: routers are told to trust what [`Self::bundle`] says. The
    /// authority after this step, if it is another one.
    pub(super) fn step(&self, now: Timestamp, bundled: bool) -> Result<Option<Self>, rcgen::Error> {
        let mut after = self.clone();
        after.previous = after.previous.filter(|previous| now < previous.until);
        match &mut after.next {
            None if now >= self.current.made + SUCCEEDED => {
                after.next = Some(Next { signer: Signer::new(now)?, bundled: None });
            }
            Some(next) if next.bundled.is_none() && bundled => next.bundled = Some(now),
            Some(Next { signer, bundled: Some(since) }) if now >= *since + AHEAD => {
                let certificate = std::mem::replace(&mut after.current, signer.clone()).certificate;
                after.next = None;
                after.previous = Some(Previous { certificate, until: now + AFTER });
            }
            _ => {}
        }
        Ok((after != *self).then_some(after))
    }

    /// A server's certificate for these names, valid from now on for [`SERVED`].
    pub(super) fn issue(&self, names: &[String], now: Timestamp) -> Result<Pair, Refused> {
        let signing = std::str::from_utf8(self.current.key.expose()).unwrap_or_default();
        let issuer = Issuer::new(params(), KeyPair::from_pem(signing)?);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = system(now - SKEW).into();
        params.not_after = system(now + SERVED).into();
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(Pair::new(certificate.as_bytes(), key.serialize_pem().as_bytes())?)
    }

    /// What tells its signer from others.
    pub(super) fn signer(&self) -> &str {
        &self.current.certificate
    }
}

/// A certificate cannot be issued.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the stream's certificate cannot be issued: {0}")]
    Issue(#[from] rcgen::Error),
    #[error("the stream's certificate cannot be used: {0}")]
    Use(#[from] super::certificate::Unusable),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn days(n: i64) -> i64 {
        n * 86_400
    }

    fn stepped(authority: &Authority, now: i64, bundled: bool) -> Authority {
        authority.step(at(now), bundled).unwrap().expect("something changes")
    }

    #[test]
    fn what_a_secret_holds_is_what_was_written() {
        let mut authority = Authority::new(at(0)).unwrap();
        assert_eq!(Authority::of(&authority.data()).unwrap().unwrap(), authority);
        authority = stepped(&authority, days(305), true);
        authority = stepped(&authority, days(305), true);
        assert_eq!(Authority::of(&authority.data()).unwrap().unwrap(), authority);
        authority = stepped(&authority, days(306), true);
        assert_eq!(Authority::of(&authority.data()).unwrap().unwrap(), authority);
        assert_eq!(Authority::of(&BTreeMap::new()).unwrap(), None);
    }

    #[test]
    fn what_is_no_authority_is_told_and_not_taken() {
        let good = Authority::new(at(0)).unwrap().data();
        let other = Authority::new(at(0)).unwrap().data();
        let with = |name: &str, value: Option<&[u8]>| {
            let mut data = good.clone();
            match value {
                Some(value) => data.insert(name.to_owned(), ByteString(value.to_vec())),
                None => data.remove(name),
            };
            Authority::of(&data).unwrap_err()
        };
        assert!(matches!(with(KEY, None), Unusable::Incomplete));
        assert!(matches!(with(MADE, Some(b"soon")), Unusable::NoTime(MADE)));
        assert!(matches!(with(CERTIFICATE, Some(&[0xff])), Unusable::NotText(CERTIFICATE)));
        assert!(matches!(with(KEY, Some(&other[KEY].0)), Unusable::NoPair(_)));
        let printed = format!("{:?}", Authority::new(at(0)).unwrap());
        assert!(!printed.contains("PRIVATE KEY"), "{printed}");
    }

    #[test]
    fn a_new_signer_is_trusted_ten_minutes_ahead_and_the_old_one_a_day_after() {
        let first = Authority::new(at(0)).unwrap();
        assert_eq!(first.step(at(days(304)), true).unwrap(), None);
        let due = days(305);
        let announced = stepped(&first, due, true);
        assert_eq!(announced.signer(), first.signer(), "it does not sign yet");
        assert!(announced.bundle().has(&first.bundle()));
        assert_ne!(announced.bundle(), first.bundle());
        // As long as routers are not told, the ten minutes do not begin.
        assert_eq!(announced.step(at(due + 3_600), false).unwrap(), None);
        let told = stepped(&announced, due + 3_600, true);
        assert_eq!(told.step(at(due + 3_600 + 599), true).unwrap(), None);
        let second = stepped(&told, due + 3_600 + 600, true);
        assert_ne!(second.signer(), first.signer());
        assert!(second.bundle().has(&first.bundle()), "the old one stays");
        assert_eq!(second.step(at(due + 4_200 + days(1) - 1), true).unwrap(), None);
        let third = stepped(&second, due + 4_200 + days(1), true);
        assert_eq!(third.bundle(), Bundle::of(second.signer()));
    }

    #[test]
    fn a_server_is_certified_by_what_signs_now() {
        let authority = Authority::new(at(0)).unwrap();
        authority.issue(&["m-controller.moniker.svc".to_owned()], at(5)).unwrap();
    }
}
