//! What this process's environment says of its own identity, by the variables that clouds put into a
//! pod and that their SDKs read.

use std::collections::BTreeMap;

use routing::outcome::Fault;

use super::Unissued;

/// Names of variables, each as its cloud documents it.
pub(super) mod variable {
    /// AWS's token service, where it is not the region's own.
    pub(crate) const AWS_STS: &str = "AWS_ENDPOINT_URL_STS";
    /// The file of the token that stands for a role of AWS.
    pub(crate) const AWS_TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
    /// That role.
    pub(crate) const AWS_ROLE: &str = "AWS_ROLE_ARN";
    /// What the role's sessions are called. Default: moniker.
    pub(crate) const AWS_SESSION: &str = "AWS_ROLE_SESSION_NAME";
    /// Where EKS Pod Identity gives keys.
    pub(crate) const EKS_URL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    /// The file of the token that is shown there.
    pub(crate) const EKS_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    /// The tenant of Entra.
    pub(crate) const AZURE_TENANT: &str = "AZURE_TENANT_ID";
    /// The application or managed identity.
    pub(crate) const AZURE_CLIENT: &str = "AZURE_CLIENT_ID";
    /// The file of the token that Entra trusts for it.
    pub(crate) const AZURE_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
    /// Where Entra is. Default: https://login.microsoftonline.com.
    pub(crate) const AZURE_AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
    /// The configuration file of workload identity federation.
    pub(crate) const GOOGLE_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
    /// Where the metadata server is. Default: metadata.google.internal.
    pub(crate) const GOOGLE_METADATA: &str = "GCE_METADATA_HOST";

    /// All of them.
    pub(crate) const ALL: [&str; 12] = [
        AWS_STS,
        AWS_TOKEN_FILE,
        AWS_ROLE,
        AWS_SESSION,
        EKS_URL,
        EKS_TOKEN_FILE,
        AZURE_TENANT,
        AZURE_CLIENT,
        AZURE_TOKEN_FILE,
        AZURE_AUTHORITY,
        GOOGLE_FILE,
        GOOGLE_METADATA,
    ];
}

/// The variables that are set, by name. None of them is a secret: tokens are in files that they name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// What this process was started with.
    pub fn of_process() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// What `get` says of each variable; an empty one is not set.
    pub fn of(get: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &'static str| Some((name, get(name).filter(|text| !text.is_empty())?));
        Self(variable::ALL.into_iter().filter_map(set).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A variable without which there is no identity of this cloud.
    pub(super) fn want(&self, name: &str, cloud: &str) -> Result<&str, Unissued> {
        self.get(name).ok_or_else(|| {
            let message = format!("this router has no identity of {cloud}: {name} is not set");
            Unissued::new(Fault::Auth, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_not_set() {
        let environment = Environment::of(|name| {
            let text = match name {
                variable::AZURE_TENANT => "t",
                variable::AZURE_CLIENT => "",
                _ => return None,
            };
            Some(text.to_owned())
        });
        assert_eq!(environment.want(variable::AZURE_TENANT, "Azure"), Ok("t"));
        let missing = environment.want(variable::AZURE_CLIENT, "Azure").unwrap_err();
        assert_eq!(missing.fault, Fault::Auth);
        assert!(missing.message.contains("AZURE_CLIENT_ID is not set"), "{missing}");
    }
}
