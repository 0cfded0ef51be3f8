//! The objects that trust is kept in, one at a time: read by name, and written on the condition that
//! nobody wrote since.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, PostParams};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::watch::said;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why an object could not be read or written.
#[derive(Debug)]
pub(super) enum Failed {
    /// Somebody else wrote first: read again.
    Conflict,
    /// Anything else, in words.
    Said(String),
}

/// An object that the controller fills.
pub(super) trait Filled:
    kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize
{
    /// What it holds.
    type Data;
    /// Its kind, in words.
    const KIND: &'static str;
    /// Replaces what it holds.
    fn fill(&mut self, data: Self::Data);
}

impl Filled for Secret {
    type Data = BTreeMap<String, ByteString>;
    const KIND: &'static str = "Secret";
    fn fill(&mut self, data: Self::Data) {
        self.data = Some(data);
    }
}

impl Filled for ConfigMap {
    type Data = BTreeMap<String, String>;
    const KIND: &'static str = "ConfigMap";
    fn fill(&mut self, data: Self::Data) {
        self.data = Some(data);
    }
}

/// The object of this name; `None`: there is none.
pub(super) async fn read<K: Filled>(api: &Api<K>, name: &str) -> Result<Option<K>, Failed> {
    answered(api.get_opt(name)).await.map_err(|failed| failed.about("read", K::KIND, name))
}

/// Fills an object as it was read; where there was none it is made, if that may be.
pub(super) async fn write<K: Filled + Default>(
    api: &Api<K>,
    name: &str,
    found: Option<K>,
    data: K::Data,
) -> Result<(), Failed> {
    let params = PostParams::default();
    let made = found.is_none();
    let mut object = found.unwrap_or_else(|| {
        let mut object = K::default();
        object.meta_mut().name = Some(name.to_owned());
        object
    });
    object.fill(data);
    let verb = if made { "make" } else { "fill" };
    let done = if made {
        answered(api.create(&params, &object)).await
    } else {
        answered(api.replace(name, &params, &object)).await
    };
    done.map(drop).map_err(|failed| failed.about(verb, K::KIND, name))
}

async fn answered<T>(asked: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failed> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 409) => Err(Failed::Conflict),
        Ok(Err(error)) => Err(Failed::Said(said(&error))),
        Err(_elapsed) => Err(Failed::Said("the API server does not answer".to_owned())),
    }
}

impl Failed {
    fn about(self, verb: &str, kind: &str, name: &str) -> Self {
        match self {
            Self::Conflict => Self::Conflict,
            Self::Said(why) => Self::Said(format!("cannot {verb} {kind} {name}: {why}")),
        }
    }
}
