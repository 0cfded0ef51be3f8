//! Credentials as requests use them: a header, a token that somebody gives and that is renewed ahead
//! of its end, or a key that signs each request.
//!
//! Tokens are fetched by one task for each target that needs one, off the request path; a request
//! waits only where there is no token yet. Where they are fetched is judged by the same guard as any
//! other endpoint.

mod ask;
mod aws;
mod environment;
mod google;
mod identity;
mod renew;
mod sigv4;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use providers::target::auth_header;
use routing::{
    AuthKind, ProviderKind,
    material::{AwsKey, Material},
    outcome::Fault,
    snapshot::{CompiledOptions, CompiledTarget},
};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

pub use self::environment::Environment;
use self::{
    identity::{Cloud, Identities},
    renew::{Refusal, Renewed},
    sigv4::Scope,
};
use crate::upstream::{Pools, Segments, UpstreamConfig};

/// How far a clock may be off before AWS refuses signatures.
const MAX_SKEW: Duration = Duration::from_secs(5 * 60);

/// Who gives tokens, and how they are reached: what all credentials share.
pub(crate) struct Issuers {
    /// Connections to issuers, apart from those to providers: they live on another runtime.
    pools: Pools,
    /// What this process's environment says of its own identity.
    environment: Environment,
    /// What is given for that.
    identities: Identities,
}

impl Issuers {
    /// Issuers that are reached as this says.
    pub(crate) fn new(config: UpstreamConfig) -> Arc<Self> {
        let environment = config.environment.clone();
        Arc::new(Self { pools: Pools::new(config), environment, identities: Identities::default() })
    }
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuers").field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// Why there is no credential to send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Unissued {
    /// Auth where the issuer refuses the credential, else what came between.
    pub(crate) fault: Fault,
    /// What happened, and where. It holds no secret.
    pub(crate) message: String,
}

impl Unissued {
    fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }
}

/// A target's credential.
pub(crate) struct Credential {
    material: Option<Material>,
    form: Form,
}

/// What becomes of the material.
enum Form {
    /// The target needs none.
    Open,
    /// There is none, or it cannot be used.
    Missing,
    /// A header of every request.
    Header(HeaderName, HeaderValue),
    /// The value of `authorization`, given by an issuer.
    Token(Arc<Renewed<HeaderValue>>),
    /// A signature of each request.
    Signature { keys: Keys, region: String },
}

/// The key that signs.
enum Keys {
    Own(Box<AwsKey>),
    /// Of a role that is assumed, or of the router's own identity.
    Given(Arc<Renewed<AwsKey>>),
}

impl Credential {
    /// The credential of a target. What `previous` was given goes on where it is the same, and until
    /// there is something new where the material was rotated.
    pub(crate) fn new(
        target: &CompiledTarget,
        material: Option<&Material>,
        previous: Option<(&CompiledTarget, &Self)>,
        issuers: &Arc<Issuers>,
    ) -> Self {
        let form = Form::new(target, material, previous, issuers);
        Self { material: material.cloned(), form }
    }

    /// Whether it is made of this material.
    pub(crate) fn is_of(&self, material: Option<&Material>) -> bool {
        self.material.as_ref() == material
    }

    /// Whether both are made of the same material.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.is_of(other.material.as_ref())
    }

    /// Whether it is there, or none is needed.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self.form, Form::Missing)
    }

    /// The header that every request carries, where it is that.
    pub(crate) fn header(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match &self.form {
            Form::Header(name, value) => Some((name, value)),
            _ => None,
        }
    }

    /// Whether a request that has the fixed header has all that it needs.
    pub(crate) fn is_applied(&self) -> bool {
        matches!(self.form, Form::Open | Form::Missing | Form::Header(..))
    }

    /// Puts it on a request, whose headers and body are final; its fixed header is there already.
    pub(crate) async fn apply(&self, request: &mut Request<Segments>) -> Result<(), Unissued> {
        match &self.form {
            Form::Open | Form::Missing | Form::Header(..) => Ok(()),
            Form::Token(tokens) => {
                let issued = tokens.get().await?;
                request.headers_mut().insert(header::AUTHORIZATION, issued.value.clone());
                Ok(())
            }
            Form::Signature { keys: Keys::Own(key), region } => sign(key, region, request),
            Form::Signature { keys: Keys::Given(keys), region } => {
                let issued = keys.get().await?;
                sign(&issued.value, region, request)
            }
        }
    }

    /// What must not stand in anything that is shown: the texts that go out with requests.
    pub(crate) fn secrets(&self) -> Vec<Zeroizing<String>> {
        let of_header = |value: &HeaderValue| {
            let text = String::from_utf8_lossy(value.as_bytes());
            vec![Zeroizing::new(text.strip_prefix("Bearer ").unwrap_or(&text).to_owned())]
        };
        let of_key = |key: &AwsKey| {
            let parts = [Some(&key.secret_access_key), key.session_token.as_ref()];
            let texts = parts.into_iter().flatten();
            texts.map(|part| Zeroizing::new(part.expose_secret().to_owned())).collect()
        };
        match &self.form {
            Form::Open | Form::Missing => Vec::new(),
            Form::Header(_, value) => of_header(value),
            Form::Token(tokens) => {
                tokens.current().map(|issued| of_header(&issued.value)).unwrap_or_default()
            }
            Form::Signature { keys: Keys::Own(key), .. } => of_key(key),
            Form::Signature { keys: Keys::Given(keys), .. } => {
                keys.current().map(|issued| of_key(&issued.value)).unwrap_or_default()
            }
        }
    }

    /// Says so where a refusal is because this machine's clock is wrong: signatures hold for a few
    /// minutes.
    pub(crate) fn refused(&self, target: &str, status: StatusCode, headers: &HeaderMap) {
        let Form::Signature { .. } = self.form else { return };
        if !matches!(status.as_u16(), 400 | 401 | 403) {
            return;
        }
        let theirs = headers.get(header::DATE).and_then(|value| value.to_str().ok());
        let theirs = theirs.and_then(|text| httpdate::parse_http_date(text).ok());
        let now = SystemTime::now();
        if let Some(theirs) = theirs
            && let off = now.duration_since(theirs).unwrap_or_else(|error| error.duration())
            && off > MAX_SKEW
        {
            tracing::error!(
                target = %target,
                seconds = off.as_secs(),
                "the provider refuses the signature, and this machine's clock is off: set the clock"
            );
        }
    }
}

impl Form {
    fn new(
        target: &CompiledTarget,
        material: Option<&Material>,
        previous: Option<(&CompiledTarget, &Credential)>,
        issuers: &Arc<Issuers>,
    ) -> Self {
        // What was given may be sent to the same place alone.
        let previous = previous.filter(|(before, _)| {
            before.endpoint == target.endpoint
                && before.auth == target.auth
                && before.options == target.options
        });
        match (target.auth.kind, material) {
            (AuthKind::None, _) => Self::Open,
            (kind @ (AuthKind::Bearer | AuthKind::Header), Some(Material::Key(key))) => {
                let key = key.expose_secret().as_bytes();
                match auth_header(kind, target.auth.header.as_deref(), key) {
                    Ok(Some((name, value))) => Self::Header(name, value),
                    Ok(None) => Self::Missing,
                    // The controller refuses such a Secret: this is the last line of defence.
                    Err(error) => {
                        tracing::error!(target = %target.id, %error, "the credential is no header");
                        Self::Missing
                    }
                }
            }
            (AuthKind::GoogleServiceAccount, Some(Material::Google(key))) => {
                let before = previous.and_then(|(_, before)| match &before.form {
                    Self::Token(tokens) => Some((tokens, before.is_of(material))),
                    _ => None,
                });
                if let Some((tokens, true)) = before {
                    return Self::Token(Arc::clone(tokens));
                }
                let last = before.and_then(|(tokens, _)| tokens.current());
                let (issuers, key) = (Arc::clone(issuers), key.clone());
                let who = format!("{} at {}", target.id, key.token_uri);
                Self::Token(Renewed::start(who, last, Refusal::Ends, move || {
                    let (issuers, key) = (Arc::clone(&issuers), key.clone());
                    Box::pin(async move { google::token(&issuers, &key).await })
                }))
            }
            (AuthKind::AWSSigV4, Some(Material::Aws(key))) => {
                let CompiledOptions::Bedrock { region, role_arn } = &target.options else {
                    return Self::Missing;
                };
                let region = region.clone();
                let Some(role) = role_arn else {
                    return Self::Signature { keys: Keys::Own(Box::new(key.clone())), region };
                };
                let before = previous.and_then(|(_, before)| match &before.form {
                    Self::Signature { keys: Keys::Given(keys), .. } => {
                        Some((keys, before.is_of(material)))
                    }
                    _ => None,
                });
                if let Some((keys, true)) = before {
                    return Self::Signature { keys: Keys::Given(Arc::clone(keys)), region };
                }
                let last = before.and_then(|(keys, _)| keys.current());
                let asked = (Arc::clone(issuers), key.clone(), role.clone(), region.clone());
                let who = format!("{} for {role}", target.id);
                let keys = Renewed::start(who, last, Refusal::Ends, move || {
                    let (issuers, key, role, region) = asked.clone();
                    Box::pin(async move { aws::assume(&issuers, &key, &role, &region).await })
                });
                Self::Signature { keys: Keys::Given(keys), region }
            }
            (AuthKind::WorkloadIdentity, _) if target.auth.identity => {
                Self::of_identity(target, issuers)
            }
            // Nothing there, or what belongs to another form of the target.
            _ => Self::Missing,
        }
    }
}

impl Form {
    /// What the cloud of the target's provider gives for the router's own identity, which a target
    /// may use that has leave.
    fn of_identity(target: &CompiledTarget, issuers: &Arc<Issuers>) -> Self {
        match (target.provider, &target.options) {
            (ProviderKind::AzureOpenAI, _) => Self::Token(identity::token(issuers, Cloud::Azure)),
            (ProviderKind::VertexAI, _) => Self::Token(identity::token(issuers, Cloud::Google)),
            (ProviderKind::Bedrock, CompiledOptions::Bedrock { region, role_arn }) => {
                let keys = identity::keys(issuers, region, role_arn.as_deref());
                Self::Signature { keys: Keys::Given(keys), region: region.clone() }
            }
            _ => Self::Missing,
        }
    }
}

fn sign(key: &AwsKey, region: &str, request: &mut Request<Segments>) -> Result<(), Unissued> {
    let hash = sigv4::hash(request.body().slices().map(|slice| &**slice));
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let scope = Scope { region, service: "bedrock" };
    let parts = (&method, &uri, request.headers_mut());
    sigv4::sign(key, scope, SystemTime::now(), parts, &hash)
        .map_err(|error| Unissued::new(Fault::Auth, format!("the request is not signed: {error}")))
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
