//! Which of LiteLLM's providers are which of ours, and how a ProviderTarget of an OpenAI-compatible
//! server is told: by the host of its endpoint.

use api::ProviderTargetSpec;
use routing::ProviderKind;

/// Providers whose prices are the same list.
#[derive(Debug)]
pub(super) struct Family {
    /// The name of the document without `--targets`.
    pub(super) name: &'static str,
    /// The name of our kind. Families of a kind that is not in the catalog are not used.
    kind: &'static str,
    /// LiteLLM's names: `litellm_provider`, and what stands before the slash of a key. A name also
    /// stands for those that go on with a dash, as `vertex_ai-language-models`.
    litellm: &'static [&'static str],
    /// Hosts of its API, those below them too.
    hosts: &'static [&'static str],
}

const fn compatible(
    name: &'static str,
    litellm: &'static [&'static str],
    hosts: &'static [&'static str],
) -> Family {
    Family { name, kind: "OpenAICompatible", litellm, hosts }
}

const fn own(name: &'static str, kind: &'static str, litellm: &'static [&'static str]) -> Family {
    Family { name, kind, litellm, hosts: &[] }
}

const FAMILIES: &[Family] = &[
    own("openai", "OpenAI", &["openai", "text-completion-openai"]),
    own("azure-openai", "AzureOpenAI", &["azure", "azure_text"]),
    own("anthropic", "Anthropic", &["anthropic"]),
    own("gemini", "Gemini", &["gemini"]),
    own("vertex-ai", "VertexAI", &["vertex_ai"]),
    own("bedrock", "Bedrock", &["bedrock", "bedrock_converse"]),
    compatible("azure-ai", &["azure_ai"], &["services.ai.azure.com", "models.ai.azure.com"]),
    compatible("cerebras", &["cerebras"], &["cerebras.ai"]),
    compatible("cohere", &["cohere", "cohere_chat"], &["cohere.ai", "cohere.com"]),
    compatible("dashscope", &["dashscope"], &["aliyuncs.com"]),
    compatible("deepinfra", &["deepinfra"], &["deepinfra.com"]),
    compatible("deepseek", &["deepseek"], &["deepseek.com"]),
    compatible("fireworks-ai", &["fireworks_ai"], &["fireworks.ai"]),
    compatible("groq", &["groq"], &["groq.com"]),
    compatible("hyperbolic", &["hyperbolic"], &["hyperbolic.xyz"]),
    compatible("lambda-ai", &["lambda_ai"], &["lambda.ai"]),
    compatible("minimax", &["minimax"], &["minimax.io"]),
    compatible("mistral", &["mistral", "codestral"], &["mistral.ai"]),
    compatible("moonshot", &["moonshot"], &["moonshot.ai", "moonshot.cn"]),
    compatible("nebius", &["nebius"], &["nebius.ai", "nebius.com"]),
    compatible("novita", &["novita"], &["novita.ai"]),
    compatible("nscale", &["nscale"], &["nscale.com"]),
    compatible("openrouter", &["openrouter"], &["openrouter.ai"]),
    compatible("perplexity", &["perplexity"], &["perplexity.ai"]),
    compatible("sambanova", &["sambanova"], &["sambanova.ai"]),
    compatible("together-ai", &["together_ai"], &["together.xyz", "together.ai"]),
    compatible("vercel-ai-gateway", &["vercel_ai_gateway"], &["vercel.sh"]),
    compatible("voyage", &["voyage"], &["voyageai.com"]),
    compatible("xai", &["xai"], &["x.ai"]),
    compatible("zai", &["zai"], &["z.ai"]),
];

impl Family {
    /// The family of an entry, by its provider or, where it names none, by its key.
    pub(super) fn of_entry(key: &str, provider: Option<&str>) -> Option<&'static Self> {
        let provider = provider.or_else(|| Some(key.split_once('/')?.0))?;
        Self::known().find(|family| family.litellm.iter().any(|name| is_or_begins(provider, name)))
    }

    /// The family of a target.
    pub(super) fn of_target(spec: &ProviderTargetSpec) -> Option<&'static Self> {
        let kind = spec.provider.name();
        let of_kind = || Self::known().filter(|family| family.kind == kind);
        if of_kind().any(|family| family.hosts.is_empty()) {
            return of_kind().next();
        }
        let url = spec.endpoint.as_ref()?.url.as_deref()?;
        let host = host(url)?;
        of_kind().find(|family| family.hosts.iter().any(|known| is_below(&host, known)))
    }

    /// What the provider itself calls the model of this key.
    pub(super) fn model<'k>(&self, key: &'k str) -> &'k str {
        let mut names = self.litellm.iter();
        names.find_map(|name| key.strip_prefix(name)?.strip_prefix('/')).unwrap_or(key)
    }

    /// Those of kinds that there are.
    fn known() -> impl Iterator<Item = &'static Self> {
        let there = |name: &str| ProviderKind::ALL.iter().any(|kind| kind.name() == name);
        FAMILIES.iter().filter(move |family| there(family.kind))
    }
}

fn is_or_begins(provider: &str, name: &str) -> bool {
    provider.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn is_below(host: &str, known: &str) -> bool {
    host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The host of a URL, in lower case.
fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    Some(authority.split(':').next()?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_family_and_no_name_is_in_two() {
        for kind in ProviderKind::ALL {
            assert!(FAMILIES.iter().any(|family| family.kind == kind.name()), "{kind}");
        }
        let mut names: Vec<&str> =
            FAMILIES.iter().flat_map(|family| family.litellm).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn entries_and_hosts_are_told_apart() {
        let name = |key, provider| Family::of_entry(key, provider).map(|family| family.name);
        assert_eq!(name("gpt-4o", Some("openai")), Some("openai"));
        assert_eq!(name("groq/llama", Some("groq")), Some("groq"));
        assert_eq!(name("groq/llama", None), Some("groq"));
        assert_eq!(
            name("fireworks_ai/x", Some("fireworks_ai-embedding-models")),
            Some("fireworks-ai")
        );
        assert_eq!(name("x", Some("openai_like")), None);
        assert_eq!(name("x", None), None);
        assert!(is_below("api.x.ai", "x.ai") && is_below("x.ai", "x.ai"));
        assert!(!is_below("api.fox.ai", "x.ai"));
        assert_eq!(host("https://API.Groq.com:443/openai/v1").as_deref(), Some("api.groq.com"));
        let family = Family::of_entry("groq/llama", Some("groq")).unwrap();
        assert_eq!(family.model("groq/meta/llama"), "meta/llama");
        assert_eq!(family.model("groqq"), "groqq");
    }
}
