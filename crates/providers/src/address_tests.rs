use routing::{
    AuthKind, ObjectId,
    snapshot::{CompiledAuth, CompiledEjection, CompiledEndpoint},
};

use super::*;

fn target(provider: ProviderKind, model: &str) -> (CompiledTarget, CompiledModel) {
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
        provider,
        endpoint: CompiledEndpoint {
            url: "https://host/base".to_owned(),
            service: false,
            ca_bundle: None,
            server_name: None,
        },
        auth: CompiledAuth { kind: AuthKind::None, header: None },
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
