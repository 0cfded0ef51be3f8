//! Addresses of every kind of provider, as they are written and as they go out.

use routing::{
    AuthKind, ObjectId,
    snapshot::{CompiledAuth, CompiledEjection, CompiledEndpoint},
};

use super::*;

fn target(provider: ProviderKind, model: &str) -> (CompiledTarget, CompiledModel) {
    target_with(provider, CompiledOptions::None, model)
}

fn target_with(
    provider: ProviderKind,
    options: CompiledOptions,
    model: &str,
) -> (CompiledTarget, CompiledModel) {
    let model = CompiledModel {
        name: "m".to_owned(),
        upstream_name: model.to_owned(),
        family: None,
        context_window: None,
        max_output_tokens: None,
        capabilities: provider.unstated_capabilities(),
        price: None,
    };
    let target = CompiledTarget {
        id: ObjectId::new("shop", "t"),
        created: 7,
        provider,
        options,
        endpoint: CompiledEndpoint {
            url: "https://host/base".to_owned(),
            service: false,
            ca_bundle: None,
            server_name: None,
        },
        auth: CompiledAuth { kind: AuthKind::None, header: None, identity: false },
        headers: Vec::new(),
        models: vec![model.clone()],
        ejection: CompiledEjection::default(),
        cordoned: false,
        quotas: Vec::new(),
        max_in_flight: None,
        probe: None,
    };
    (target, model)
}

/// The path of an operation in the provider's own dialect.
fn path(provider: ProviderKind, model: &str, operation: Operation, stream: bool) -> Option<String> {
    let (target, model) = target(provider, model);
    let (dialect, _) = dialect(provider, &model);
    address(&target, &model, Call { dialect, operation, stream }).map(|address| address.path)
}

#[test]
fn every_provider_is_asked_where_it_listens() {
    use Operation::{CountTokens, Embed, Generate, Same};
    let completions = Same(Endpoint::Completions);
    for (provider, model, operation, stream, expected) in [
        (ProviderKind::OpenAI, "m", Generate, true, Some("chat/completions")),
        (ProviderKind::OpenAI, "m", CountTokens, false, Some("responses/input_tokens")),
        (ProviderKind::OpenAICompatible, "m", completions, false, Some("completions")),
        (ProviderKind::OpenAICompatible, "m", Embed, false, Some("embeddings")),
        (ProviderKind::Anthropic, "claude", Generate, true, Some("messages")),
        (ProviderKind::Anthropic, "claude", CountTokens, false, Some("messages/count_tokens")),
        (ProviderKind::Anthropic, "claude", Embed, false, None),
        (ProviderKind::Anthropic, "claude", completions, false, None),
        (
            ProviderKind::Gemini,
            "gemini-3",
            Generate,
            false,
            Some("models/gemini-3:generateContent"),
        ),
        (
            ProviderKind::Gemini,
            "models/gemini-3",
            Generate,
            true,
            Some("models/gemini-3:streamGenerateContent?alt=sse"),
        ),
        (
            ProviderKind::Gemini,
            "tunedModels/a",
            CountTokens,
            false,
            Some("tunedModels/a:countTokens"),
        ),
        (ProviderKind::Gemini, "e", Embed, false, Some("models/e:batchEmbedContents")),
        (ProviderKind::Gemini, "e", completions, false, None),
    ] {
        let found = path(provider, model, operation, stream);
        assert_eq!(found.as_deref(), expected, "{provider} {operation:?} {stream}");
    }
    let (target, model) = target(ProviderKind::OpenAI, "m");
    let call = Call { dialect: Dialect::OpenAiResponses, operation: Generate, stream: false };
    assert_eq!(address(&target, &model, call).unwrap().path, "responses");
}

/// The path of an operation of a provider that has options.
fn path_with(
    provider: ProviderKind,
    options: &CompiledOptions,
    model: &str,
    (operation, stream): (Operation, bool),
) -> String {
    let (target, model) = target_with(provider, options.clone(), model);
    let (dialect, _) = dialect(provider, &model);
    let call = Call { dialect, operation, stream };
    address(&target, &model, call).map_or_else(String::new, |address| address.path)
}

#[test]
fn azure_names_the_deployment_in_the_path_or_in_the_body() {
    let of = |options: &CompiledOptions, operation| {
        path_with(ProviderKind::AzureOpenAI, options, "prod/1", (operation, false))
    };
    let own = CompiledOptions::None;
    assert_eq!(of(&own, Operation::Generate), "openai/v1/chat/completions");
    assert_eq!(of(&own, Operation::Embed), "openai/v1/embeddings");
    let old = CompiledOptions::AzureDeployments { api_version: "2024-10-21".to_owned() };
    let completions = Operation::Same(Endpoint::Completions);
    assert_eq!(
        of(&old, completions),
        "openai/deployments/prod%2F1/completions?api-version=2024-10-21"
    );
    assert_eq!(
        of(&old, Operation::Generate),
        "openai/deployments/prod%2F1/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(of(&old, Operation::CountTokens), "");
    let responses = Operation::Same(Endpoint::Responses);
    assert_eq!(of(&old, responses), "openai/responses?api-version=2024-10-21");
    assert_eq!(of(&own, responses), "openai/v1/responses");
}

#[test]
fn vertex_asks_the_models_publisher() {
    use Operation::{CountTokens, Embed, Generate};
    let options = CompiledOptions::VertexAi {
        project: "p-1".to_owned(),
        location: "europe-west4".to_owned(),
    };
    let at = "projects/p-1/locations/europe-west4/publishers";
    for (model, asked, expected) in [
        ("gemini-2.5-pro", (Generate, false), "google/models/gemini-2.5-pro:generateContent"),
        (
            "gemini-2.5-pro",
            (Generate, true),
            "google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        ("gemini-embedding-001", (Embed, false), "google/models/gemini-embedding-001:predict"),
        (
            "claude-sonnet-4-5@20250929",
            (Generate, true),
            "anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
        ),
        ("claude-sonnet-4-5", (Generate, false), "anthropic/models/claude-sonnet-4-5:rawPredict"),
        ("claude-sonnet-4-5", (CountTokens, false), "anthropic/models/count-tokens:rawPredict"),
    ] {
        let found = path_with(ProviderKind::VertexAI, &options, model, asked);
        assert_eq!(found, format!("{at}/{expected}"));
    }
    assert_eq!(path_with(ProviderKind::VertexAI, &options, "claude-x", (Embed, false)), "");
}

#[test]
fn bedrocks_ids_are_one_segment() {
    let options = CompiledOptions::Bedrock { region: "eu-west-1".to_owned(), role_arn: None };
    let of = |model, asked| path_with(ProviderKind::Bedrock, &options, model, asked);
    assert_eq!(
        of("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", (Operation::Generate, false)),
        "model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    );
    assert_eq!(
        of("arn:aws:bedrock:eu-west-1:1:inference-profile/x", (Operation::Generate, true)),
        "model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse-stream"
    );
    assert_eq!(of("m", (Operation::Embed, false)), "");
}

#[test]
fn a_models_name_leads_nowhere_else() {
    for (model, expected) in [
        ("../../v1/files", "models/..%2F..%2Fv1%2Ffiles:generateContent"),
        ("..", "models/%2E%2E:generateContent"),
        ("a?key=b#c", "models/a%3Fkey%3Db%23c:generateContent"),
        ("a b\u{e9}", "models/a%20b%C3%A9:generateContent"),
    ] {
        let found = path(ProviderKind::Gemini, model, Operation::Generate, false);
        assert_eq!(found.as_deref(), Some(expected));
    }
}

#[test]
fn a_url_has_exactly_one_slash_between_base_and_path() {
    let address = Address { path: "messages".to_owned(), headers: &[] };
    for base in ["https://host/v1", "https://host/v1/", "https://host/v1//"] {
        assert_eq!(address.url(base), "https://host/v1/messages");
    }
    assert_eq!(address.url("https://host"), "https://host/messages");
}

#[test]
fn a_family_is_what_is_stated_else_what_names_tell() {
    let (_, mut model) = target(ProviderKind::Anthropic, "prod-1");
    assert_eq!(family(&model), None);
    model.upstream_name = "claude-sonnet-4-5".to_owned();
    let named = family(&model);
    assert!(named.is_some());
    model.upstream_name = "prod-1".to_owned();
    model.family = Some("claude-sonnet-4-5".to_owned());
    assert_eq!(family(&model), named);
}

/// Which kind of provider has which of the endpoints that are never translated.
#[test]
fn what_is_never_translated_is_asked_where_it_is_served() {
    use Endpoint::{Images, Moderations, Rerank, Speech};
    let served = |provider, endpoint| path(provider, "m", Operation::Same(endpoint), false);
    for (provider, expected) in [
        (
            ProviderKind::OpenAI,
            [Some("images/generations"), Some("moderations"), None, Some("audio/speech")],
        ),
        (
            ProviderKind::OpenAICompatible,
            [Some("images/generations"), Some("moderations"), Some("rerank"), Some("audio/speech")],
        ),
        (
            ProviderKind::AzureOpenAI,
            [Some("openai/v1/images/generations"), None, None, Some("openai/v1/audio/speech")],
        ),
        (ProviderKind::Anthropic, [None; 4]),
        (ProviderKind::Gemini, [None; 4]),
        (ProviderKind::Bedrock, [None; 4]),
    ] {
        for (endpoint, expected) in [Images, Moderations, Rerank, Speech].into_iter().zip(expected)
        {
            assert_eq!(served(provider, endpoint).as_deref(), expected, "{provider} {endpoint}");
            assert_eq!(has(provider, endpoint), expected.is_some(), "{provider} {endpoint}");
        }
    }
    let options = CompiledOptions::AzureDeployments { api_version: "2024-10-21".into() };
    let (target, model) = target_with(ProviderKind::AzureOpenAI, options, "prod 1");
    let call = |endpoint| Call {
        dialect: Dialect::OpenAiChat,
        operation: Operation::Same(endpoint),
        stream: false,
    };
    assert_eq!(
        address(&target, &model, call(Images)).unwrap().path,
        "openai/deployments/prod%201/images/generations?api-version=2024-10-21"
    );
    assert_eq!(address(&target, &model, call(Moderations)), None);
}
