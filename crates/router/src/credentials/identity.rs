//! The router's own identity at a cloud: what is given for a token that Kubernetes keeps in a file of
//! the pod, or to who asks from within the pod. Of each kind there is one token for all targets.

mod aws;
mod azure;
mod google;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
};

use http::HeaderValue;
use parking_lot::Mutex;
use routing::{material::AwsKey, outcome::Fault};
use zeroize::Zeroizing;

use super::{
    Issuers, Unissued,
    renew::{Asking, Refusal, Renewed},
};

/// The largest file of a token, or of a configuration.
const MAX_FILE: usize = 64 << 10;

/// A cloud whose tokens go into `authorization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cloud {
    /// Entra, for AzureOpenAI.
    Azure,
    /// Google Cloud, for VertexAI.
    Google,
}

/// What is given for the identity, while somebody uses it.
#[derive(Default)]
pub(super) struct Identities {
    tokens: Shared<Cloud, HeaderValue>,
    /// Keys of AWS by region, and by the role that is assumed with them, if one is.
    keys: Shared<(String, Option<String>), AwsKey>,
}

/// Things that are renewed, one for all who use it.
struct Shared<K, T>(Mutex<HashMap<K, Weak<Renewed<T>>>>);

impl<K, T> Default for Shared<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T: Send + Sync + 'static> Shared<K, T> {
    /// The one that is in use, else one that begins now.
    fn get(
        &self,
        key: K,
        who: impl FnOnce() -> String,
        ask: impl Fn() -> Asking<T> + Send + 'static,
    ) -> Arc<Renewed<T>> {
        let mut all = self.0.lock();
        if let Some(found) = all.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        // A refusal may be of a token that is about to be written anew: what is there is as good as
        // it was.
        let started = Renewed::start(who(), None, Refusal::Waits, ask);
        all.retain(|_, one| one.strong_count() > 0);
        all.insert(key, Arc::downgrade(&started));
        started
    }
}

/// The token of the identity at a cloud.
pub(super) fn token(issuers: &Arc<Issuers>, cloud: Cloud) -> Arc<Renewed<HeaderValue>> {
    let asked = Arc::clone(issuers);
    let who = || format!("the router's identity at {cloud:?}");
    issuers.identities.tokens.get(cloud, who, move || {
        let issuers = Arc::clone(&asked);
        Box::pin(async move {
            match cloud {
                Cloud::Azure => azure::token(&issuers).await,
                Cloud::Google => google::token(&issuers).await,
            }
        })
    })
}

/// The keys of the identity at AWS, for a region; of the role that is assumed with them, if any.
pub(super) fn keys(
    issuers: &Arc<Issuers>,
    region: &str,
    role: Option<&str>,
) -> Arc<Renewed<AwsKey>> {
    let asked = Arc::clone(issuers);
    let (place, keys) = (region.to_owned(), &issuers.identities.keys);
    let Some(role) = role else {
        let who = || format!("the router's identity at AWS in {region}");
        return keys.get((place.clone(), None), who, move || {
            let (issuers, region) = (Arc::clone(&asked), place.clone());
            Box::pin(async move { aws::keys(&issuers, &region).await })
        });
    };
    let (own, role) = (self::keys(issuers, region, None), role.to_owned());
    let who = || format!("{role}, by the router's identity at AWS in {region}");
    keys.get((place.clone(), Some(role.clone())), who, {
        let role = role.clone();
        move || {
            let given = (Arc::clone(&asked), Arc::clone(&own), role.clone(), place.clone());
            Box::pin(async move {
                let (issuers, own, role, region) = given;
                let own = own.get().await?;
                super::aws::assume(&issuers, &own.value, &role, &region).await
            })
        }
    })
}

/// Reads a file that a variable names, anew each time: what is in it is replaced before it ends.
async fn read(variable: &str, path: &str) -> Result<Zeroizing<Vec<u8>>, Unissued> {
    let bad = |why: String| {
        Unissued::new(Fault::Auth, format!("the file {path} that {variable} names {why}"))
    };
    let bytes = tokio::fs::read(path).await.map(Zeroizing::new);
    let bytes = bytes.map_err(|error| bad(format!("is not read: {error}")))?;
    if bytes.len() > MAX_FILE {
        return Err(bad(format!("has over {MAX_FILE} bytes")));
    }
    Ok(bytes)
}

/// Reads a file that holds a token and nothing else.
async fn token_file(variable: &str, path: &str) -> Result<Zeroizing<String>, Unissued> {
    let bytes = read(variable, path).await?;
    let text = std::str::from_utf8(&bytes).map_or("", str::trim);
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("the file {path} that {variable} names holds no token");
        return Err(Unissued::new(Fault::Auth, message));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_what_its_file_holds_now() {
        let path = std::env::temp_dir().join(format!("moniker-token-{}", std::process::id()));
        let name = path.to_str().unwrap();
        std::fs::write(&path, "canary-1\n").unwrap();
        assert_eq!(*token_file("TOKEN_FILE", name).await.unwrap(), "canary-1");
        std::fs::write(&path, "canary-2").unwrap();
        assert_eq!(*token_file("TOKEN_FILE", name).await.unwrap(), "canary-2");
        for bad in ["", "\n", "canary 3", "canary\n3", "can\u{e4}ry"] {
            std::fs::write(&path, bad).unwrap();
            let error = token_file("TOKEN_FILE", name).await.unwrap_err();
            assert_eq!(error.fault, Fault::Auth);
            let shown = error.to_string();
            assert!(shown.contains("TOKEN_FILE") && !shown.contains("canary"), "{shown}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = token_file("TOKEN_FILE", name).await.unwrap_err();
        assert!(error.to_string().contains("is not read"), "{error}");
    }
}
