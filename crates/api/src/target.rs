//! ProviderTarget: an endpoint, its credential and the models that it serves.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use routing::{AuthKind, Capability, ProviderKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    common::{Export, KeyRef, ProgrammedStatus},
    duration::PATTERN,
    price::Price,
    quota::{Probe, Quota},
};

/// What a header's value may be: visible ASCII, with spaces inside.
const VISIBLE: &str = "^[!-~]([ -~]*[!-~])?$";

/// What to reach, how, and what it serves.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "moniker.dev",
    version = "v1alpha1",
    kind = "ProviderTarget",
    plural = "providertargets",
    singular = "providertarget",
    shortname = "pt",
    category = "moniker",
    namespaced,
    status = "ProviderTargetStatus",
    derive = "PartialEq",
    doc = "An endpoint, its credential and the models that it serves. Aliases name it as a provider.",
    printcolumn = r#"{"name":"Provider","type":"string","jsonPath":".spec.provider"}"#,
    printcolumn = r#"{"name":"Models","type":"integer","jsonPath":".status.models"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Routers","type":"string","jsonPath":".status.programmed.routers"}"#,
    printcolumn = r#"{"name":"Used-By","type":"integer","jsonPath":".status.usedBy"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ProviderTargetSpec {
    /// The kind of API behind it.
    pub provider: ProviderKind,
    /// What AzureOpenAI wants to know. Default: `mode: V1`.
    #[serde(default, rename = "azureOpenAI", skip_serializing_if = "Option::is_none")]
    pub azure_open_ai: Option<AzureOpenAi>,
    /// What VertexAI wants to know; required there.
    #[serde(default, rename = "vertexAI", skip_serializing_if = "Option::is_none")]
    pub vertex_ai: Option<Box<VertexAi>>,
    /// What Bedrock wants to know; required there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bedrock: Option<Box<Bedrock>>,
    /// Where it is. Required for AzureOpenAI and OpenAICompatible; others have an address that is
    /// fixed or follows from their location or region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// How requests are authenticated.
    pub auth: Auth,
    /// Headers that every request carries. Never credentials: those are `auth`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 16))]
    #[schemars(extend("additionalProperties" = {"type": "string", "maxLength": 4096, "pattern": VISIBLE}))]
    pub headers: Option<BTreeMap<String, String>>,
    /// The models that it serves.
    #[schemars(length(min = 1, max = 256))]
    pub models: Vec<Model>,
    /// What the provider grants this credential, for all routers together; several where it counts
    /// per model or class of models. Default: no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub quotas: Option<Vec<Quota>>,
    /// The most requests under way at once, for all routers together. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: Option<i32>,
    /// When it is left alone after failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejection: Option<Ejection>,
    /// How it is asked whether it is there, by one router for all. Default: not at all; requests
    /// show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// Whose aliases may use it. Default: those of its own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// true: it gets no new requests; running ones finish. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordoned: Option<bool>,
}

/// What AzureOpenAI wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureOpenAi {
    /// Which of Azure's two APIs. Default: V1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AzureMode>,
    /// The version of the API, such as 2024-10-21; required with `mode: Deployments`, and only with
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[0-9A-Za-z.-]+$"))]
    pub api_version: Option<String>,
}

/// Which of Azure's two APIs: V1 names the deployment in the body, as OpenAI does a model, and needs no
/// version; Deployments names it in the path. Default: V1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AzureMode {
    /// `/openai/v1/...`, the deployment in the body.
    #[default]
    V1,
    /// `/openai/deployments/NAME/...?api-version=`.
    Deployments,
}

/// What VertexAI wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VertexAi {
    /// The id of the Google Cloud project.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[a-z0-9][a-z0-9.:-]*$"))]
    pub project: String,
    /// Where the models run, such as europe-west4, eu or global.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]+(-[a-z0-9]+)*$"))]
    pub location: String,
}

/// What Bedrock wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bedrock {
    /// The region, such as eu-west-1.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]{2,}(-[a-z0-9]+)+$"))]
    pub region: String,
    /// A role that is assumed with the credential, for models of another account. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]+$")
    )]
    pub role_arn: Option<String>,
}

/// Where a provider is: exactly one of `url` and `service`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The base URL, https. The path of an endpoint (such as chat/completions) is appended after
    /// one slash and nothing else is added: write /v1 if the provider wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub url: Option<String>,
    /// A Service in the namespace of this object: a model server of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// How its certificate is checked. A service without it is reached by plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// A Service in the namespace of this object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its name.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Its port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The base path, such as /v1. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = "^/[^?#\\s]*$"))]
    pub path_prefix: Option<String>,
}

/// How a server's certificate is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// A ConfigMap's key that holds the certificate authorities (PEM) to trust. Default: the public
    /// ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_ref: Option<KeyRef>,
    /// The name that the certificate must have. Default: the host of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
}

/// How requests are authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Bearer: `Authorization: Bearer KEY`. Header: the key in a header of its own. AWSSigV4: requests
    /// are signed. GoogleServiceAccount: tokens for a key of a service account. WorkloadIdentity: the
    /// routers' own identity at the provider's cloud, without a Secret; for namespaces alone that the
    /// controller's --workload-identity-namespaces names. None: no credential.
    /// Each provider takes some of them: OpenAI and OpenAICompatible Bearer and Header; AzureOpenAI
    /// Header, Bearer and WorkloadIdentity; Anthropic Header and Bearer; Gemini Header; VertexAI
    /// GoogleServiceAccount and WorkloadIdentity; Bedrock AWSSigV4, WorkloadIdentity, and Bearer for
    /// its API keys.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// The Secret, in the namespace of this object, that holds the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// The header of `type: Header`. Default: api-key for AzureOpenAI, x-api-key for Anthropic,
    /// x-goog-api-key for Gemini; required for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<AuthHeader>,
}

/// A Secret that holds a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// `metadata.name` of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in its data: of the API key, or for GoogleServiceAccount of the JSON key file. Not
    /// for AWSSigV4, whose Secret has access-key-id, secret-access-key and maybe session-token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// The header that carries the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthHeader {
    /// Its name, such as api-key.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub name: String,
}

/// A model that the provider serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The name that aliases use.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// What the provider calls it. Default: `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub upstream_name: Option<String>,
    /// The model that it is, where its name hides that, such as gpt-4o or claude-sonnet-4-5: what it
    /// takes follows from it. Default: told from `name`, then `upstreamName`, else the newest of the
    /// provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub family: Option<String>,
    /// Tokens that fit, prompt and answer together. Default: not known, which counts as large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub context_window: Option<i64>,
    /// The most output tokens. A caller's larger max_tokens is lowered to it. Default: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_output_tokens: Option<i64>,
    /// What it can do. Default: every endpoint of the provider (Chat, and where it has them
    /// Completions, Embeddings, Images, Moderations, Rerank and Speech), Streaming and Tools; Vision, Audio, Documents, JsonSchema and
    /// Reasoning must be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub capabilities: Option<Vec<Capability>>,
    /// What it costs. Default: not known, which is last under LowestPrice and above every ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// When a target is left alone after failures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ejection {
    /// Failures in a row before it is ejected. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub consecutive_failures: Option<i32>,
    /// The first ejection, doubled with each that follows. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = PATTERN))]
    pub base: Option<String>,
    /// The longest ejection. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = PATTERN))]
    pub max: Option<String>,
}

/// What the controller says of a ProviderTarget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderTargetStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many aliases use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<i32>,
    /// A short hash of the credential in use: it changes when the credential does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_version: Option<String>,
    /// How many models it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<i32>,
    /// Which of the ready routers serve it; absent where nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programmed: Option<ProgrammedStatus>,
    /// Accepted, ResolvedRefs, Programmed, Ready; Reconciling or Stalled while it is not ready; Healthy, as
    /// False, while its provider refuses the credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
