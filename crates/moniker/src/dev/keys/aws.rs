//! Bedrock by the variables that AWS's own tools read: an API key of Bedrock's, else an access key,
//! and the region.

use super::Environment;

/// With an access key; what differs otherwise is written anew.
const DOCUMENT: &str = include_str!("../../../../../deploy/samples/providers/bedrock.yaml");
/// An API key of Bedrock's.
pub(super) const API_KEY: &str = "AWS_BEARER_TOKEN_BEDROCK";
/// An access key, and the token of a temporary one.
pub(super) const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
/// The region, the best first.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// The base URL of another server.
pub(super) const BASE: &str = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME";

/// What stands in the document, and what stands there with an API key.
const AUTH: [&str; 2] = [
    "auth: {type: AWSSigV4, secretRef: {name: bedrock}}",
    "auth: {type: Bearer, secretRef: {name: bedrock, key: api-key}}",
];
const REGION: &str = "region: us-east-1";

/// The variable that told it, and the document; `None`: there is no key. Else why it is not added.
pub(super) fn document(
    environment: Environment<'_>,
) -> Option<Result<(&'static str, String), &'static str>> {
    let has = |name: &str| environment(name).is_some();
    let key = match (has(API_KEY), has(ACCESS_KEY)) {
        (true, _) => API_KEY,
        (false, true) => ACCESS_KEY,
        (false, false) => return None,
    };
    Some(written(key, environment).map(|document| (key, document)))
}

fn written(key: &str, environment: Environment<'_>) -> Result<String, &'static str> {
    let region = REGIONS.iter().find_map(|name| environment(name));
    let region = region.ok_or("AWS_REGION is not set")?;
    let region = region.trim();
    let spelt = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if !region.contains('-') || !region.split('-').all(spelt) {
        return Err("AWS_REGION is no region, such as eu-west-1");
    }
    let mut document = DOCUMENT.replacen(REGION, &format!("region: {region}"), 1);
    if key == API_KEY {
        document = document.replacen(AUTH[0], AUTH[1], 1);
        let first = format!("  access-key-id: \"${{{ACCESS_KEY}}}\"\n");
        document = document.replacen(&first, &format!("  api-key: \"${{{API_KEY}}}\"\n"), 1);
    } else if environment(SECRET_KEY).is_none() {
        return Err("AWS_SECRET_ACCESS_KEY is not set");
    }
    let goes = |line: &str| {
        (line.starts_with("  secret-access-key:") && key == API_KEY)
            || (line.starts_with("  session-token:")
                && (key == API_KEY || environment(TOKEN).is_none()))
    };
    Ok(document.split_inclusive('\n').filter(|line| !goes(line)).collect())
}
