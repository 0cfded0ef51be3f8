//! How a target is authenticated, and the Secret's value that it takes.

use api::{
    ProviderTargetSpec, Reason,
    rules::{CONNECTION_HEADERS, CREDENTIAL_HEADERS},
    target::Auth,
};
use routing::{AuthKind, ObjectId, snapshot::CompiledAuth};

use super::{host, problems::Problems, target::Fault};
use crate::{
    credential::{self, CredentialState, Unfit},
    text::{quote, quote_id},
    world::World,
};

/// Checks what one object can decide.
pub(super) fn check(spec: &ProviderTargetSpec, problems: &mut Problems) -> CompiledAuth {
    let (provider, auth) = (spec.provider, &spec.auth);
    let fits = provider.auth_kinds();
    if !fits.contains(&auth.kind) {
        let named = fits.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        problems.add(
            "spec.auth.type",
            format_args!("is {}, and {provider} takes one of {named}", auth.kind),
        );
    }
    let needs_secret = auth.kind.needs_secret();
    problems.check(
        needs_secret == auth.secret_ref.is_some(),
        "spec.auth.secretRef",
        if needs_secret {
            "is missing: name the Secret that holds the credential"
        } else {
            "goes with a credential alone: remove it, or choose another `type`"
        },
    );
    if let Some(secret) = &auth.secret_ref {
        problems.name(&secret.name, 253, "spec.auth.secretRef.name");
        if let Some(key) = &secret.key {
            problems.name(key, 253, "spec.auth.secretRef.key");
        }
        problems.check(
            auth.kind.needs_secret_key() == secret.key.is_some() || !needs_secret,
            "spec.auth.secretRef.key",
            if auth.kind.needs_secret_key() {
                "is missing: name the key of the Secret that holds the credential"
            } else {
                "means nothing here: the Secret has keys of fixed names"
            },
        );
    }
    let mut header = auth.header.as_ref().map(|header| header.name.to_ascii_lowercase());
    if auth.kind == AuthKind::Header {
        header = header.or_else(|| provider.key_header().map(str::to_owned));
        problems.check(
            header.is_some(),
            "spec.auth.header",
            "is missing: name the header in which this provider wants its key",
        );
    } else {
        problems.check(header.is_none(), "spec.auth.header", "goes with `type: Header` alone");
    }
    if let Some(name) = &header {
        let fine =
            is_token(name) && name.len() <= 128 && !CONNECTION_HEADERS.contains(&name.as_str());
        problems.check(fine, "spec.auth.header.name", "is no header that can carry a key");
    }
    CompiledAuth { kind: auth.kind, header, identity: false }
}

/// Whether a target may use the routers' own identity. It is what every target that may shares, so
/// that the operator says whose they are.
pub(super) fn identity(world: &World, id: &ObjectId, auth: &Auth, faults: &mut Vec<Fault>) -> bool {
    if auth.kind != AuthKind::WorkloadIdentity {
        return false;
    }
    let permitted = world.settings.workload_identity_namespaces.contains(&id.namespace);
    if !permitted {
        faults.push(Fault::new(
            Reason::IdentityNotPermitted,
            "spec.auth.type",
            format!(
                "WorkloadIdentity is not for namespace {}: the controller's \
                 --workload-identity-namespaces must name it; or use a Secret",
                id.namespace
            ),
        ));
    }
    permitted
}

/// A header's name that routers can write, in lower case.
pub(super) fn is_token(name: &str) -> bool {
    let fine =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.len() <= 256 && name.bytes().all(fine)
}

/// A header, in lower case, that may not be set as a static one.
pub(super) fn is_reserved(name: &str) -> bool {
    CREDENTIAL_HEADERS.contains(&name) || CONNECTION_HEADERS.contains(&name)
}

/// Reads the credential. `host` is where it would be sent, if that is known, and `held` whether
/// routers go on with an older form of the target, which may lead to another host.
pub(super) fn credential(
    world: &World,
    id: &ObjectId,
    auth: &Auth,
    (host, held): (Option<&str>, bool),
    faults: &mut Vec<Fault>,
) -> Option<CredentialState> {
    const PATH: &str = "spec.auth.secretRef";
    if !auth.kind.needs_secret() {
        return Some(CredentialState::Absent);
    }
    let wanted = auth.secret_ref.as_ref()?;
    let name = ObjectId::new(id.namespace.clone(), wanted.name.as_str());
    if world.unknown_secrets.contains(&name) {
        faults.push(Fault::unknown(Reason::SecretNotFound, PATH, "Secret", &name));
        return None;
    }
    let Some(secret) = world.secrets.get(&name) else {
        faults.push(Fault::new(
            Reason::SecretNotFound,
            PATH,
            format!("there is no Secret {}; create it", quote_id(&name)),
        ));
        return Some(CredentialState::Absent);
    };
    let material = credential::read(auth.kind, secret, wanted.key.as_deref(), world.settings.dev);
    if let Err(Unfit::NoKey(key)) = &material {
        // Without a name it is a problem of the spec already.
        if !key.is_empty() {
            faults.push(Fault::new(
                Reason::SecretKeyNotFound,
                PATH,
                format!("Secret {name} has no key {}; add it, or correct the key", quote(key)),
            ));
        }
        return Some(CredentialState::Absent);
    }
    if let Some(allowed) = &secret.allowed_hosts {
        // Where the host is not known, nothing is sent anywhere new.
        let host = host?;
        if !host::is_allowed(allowed, host) {
            faults.push(Fault::new(
                Reason::HostNotAllowed,
                PATH,
                format!(
                    "Secret {name} may not be sent to {host}: its annotation \
                     moniker.dev/allowed-hosts does not name that host"
                ),
            ));
            return Some(CredentialState::Absent);
        }
        if held {
            return None;
        }
    }
    match material {
        Ok(material) => Some(CredentialState::Present { version: secret.version, material }),
        Err(Unfit::NoKey(_)) => Some(CredentialState::Absent),
        Err(Unfit::Bad(key, what)) => {
            faults.push(Fault::new(
                Reason::SecretInvalid,
                PATH,
                format!(
                    "key {} of Secret {name} {what}; correct it, and the last good credential \
                     goes on for 10 minutes",
                    quote(&key)
                ),
            ));
            Some(CredentialState::Invalid { version: secret.version })
        }
    }
}
