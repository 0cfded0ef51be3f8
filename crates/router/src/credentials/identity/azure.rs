//! Entra's tokens for a token of Kubernetes (workload identity federation): the client credentials
//! grant with an assertion (RFC 7523, 2.2), as Entra documents it.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use http::{HeaderValue, Method, header};
use routing::outcome::Fault;
use tokio::time::Instant;

use super::{
    super::{
        Issuers, Unissued,
        ask::{FORM, Question, bearer, form},
        environment::variable,
        renew::Issued,
    },
    token_file,
};

const CLOUD: &str = "Azure";
/// Entra of the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// What an assertion is.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Asks for a token of the identity: the value of `authorization`.
pub(super) async fn token(issuers: &Issuers) -> Result<Issued<HeaderValue>, Unissued> {
    let environment = &issuers.environment;
    let file = environment.want(variable::AZURE_TOKEN_FILE, CLOUD)?;
    let tenant = environment.want(variable::AZURE_TENANT, CLOUD)?;
    let client = environment.want(variable::AZURE_CLIENT, CLOUD)?;
    if !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
        let message = format!("{} is no tenant", variable::AZURE_TENANT);
        return Err(Unissued::new(Fault::Auth, message));
    }
    let authority = environment.get(variable::AZURE_AUTHORITY).unwrap_or(AUTHORITY);
    let authority = authority.trim_end_matches('/');
    let assertion = token_file(variable::AZURE_TOKEN_FILE, file).await?;
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", scope(authority)),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", &assertion),
    ]);
    let asked = Instant::now();
    let answer =
        Question::new(Method::POST, &format!("{authority}/{tenant}/oauth2/v2.0/token"), body)?
            .header(header::CONTENT_TYPE, FORM)
            .hiding(&assertion)
            .ask(&issuers.pools)
            .await?;
    bearer(&answer, asked)
}

/// What the token is for: Azure's AI services in the cloud whose Entra this is.
fn scope(authority: &str) -> &'static str {
    match authority.rsplit('.').next() {
        Some("us") => "https://cognitiveservices.azure.us/.default",
        Some("cn") => "https://cognitiveservices.azure.cn/.default",
        _ => "https://cognitiveservices.azure.com/.default",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_of_the_same_cloud() {
        assert_eq!(scope(AUTHORITY), "https://cognitiveservices.azure.com/.default");
        let of = |host: &str| scope(&format!("https://{host}")).to_owned();
        assert_eq!(of("login.microsoftonline.us"), "https://cognitiveservices.azure.us/.default");
        assert_eq!(of("login.chinacloudapi.cn"), "https://cognitiveservices.azure.cn/.default");
    }
}
