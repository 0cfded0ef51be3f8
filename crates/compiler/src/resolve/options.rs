//! What a provider wants to know beside its address, and the address that follows from it.

use api::{ProviderTargetSpec, target::AzureMode};
use routing::{ProviderKind, snapshot::CompiledOptions};

use super::problems::Problems;

/// Checks what one object can decide.
pub(super) fn check(spec: &ProviderTargetSpec, problems: &mut Problems) -> CompiledOptions {
    let provider = spec.provider;
    let written = [
        (ProviderKind::AzureOpenAI, spec.azure_open_ai.is_some()),
        (ProviderKind::VertexAI, spec.vertex_ai.is_some()),
        (ProviderKind::Bedrock, spec.bedrock.is_some()),
    ];
    for (owner, there) in written {
        let Some(member) = owner.options() else { continue };
        if there && owner != provider {
            let message = format!("belongs to provider {owner}, and means nothing with {provider}");
            problems.add(format_args!("spec.{member}"), message);
        }
        if !there && owner == provider && provider.needs_options() {
            let message = format!("is missing: {provider} needs it");
            problems.add(format_args!("spec.{member}"), message);
        }
    }
    match provider {
        ProviderKind::AzureOpenAI => azure(spec, problems),
        ProviderKind::VertexAI => vertex(spec, problems),
        ProviderKind::Bedrock => bedrock(spec, problems),
        ProviderKind::OpenAI
        | ProviderKind::Anthropic
        | ProviderKind::Gemini
        | ProviderKind::OpenAICompatible => CompiledOptions::None,
    }
}

/// The base URL that follows from these; `None`: none does.
pub(super) fn url(options: &CompiledOptions) -> Option<String> {
    match options {
        CompiledOptions::None | CompiledOptions::AzureDeployments { .. } => None,
        CompiledOptions::VertexAi { location, .. } => Some(match location.as_str() {
            "global" => "https://aiplatform.googleapis.com/v1".to_owned(),
            "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com/v1"),
            _ => format!("https://{location}-aiplatform.googleapis.com/v1"),
        }),
        CompiledOptions::Bedrock { region, .. } => {
            let china = if region.starts_with("cn-") { ".cn" } else { "" };
            Some(format!("https://bedrock-runtime.{region}.amazonaws.com{china}"))
        }
    }
}

fn azure(spec: &ProviderTargetSpec, problems: &mut Problems) -> CompiledOptions {
    let endpoint = spec.endpoint.as_ref().and_then(|endpoint| endpoint.url.as_deref());
    let path = endpoint.unwrap_or_default().trim_end_matches('/').to_ascii_lowercase();
    problems.check(
        !(path.ends_with("/openai") || path.ends_with("/openai/v1")),
        "spec.endpoint.url",
        "is that of the resource, such as https://NAME.openai.azure.com: remove /openai or \
         /openai/v1, which are added",
    );
    let written = spec.azure_open_ai.clone().unwrap_or_default();
    let deployments = written.mode.unwrap_or_default() == AzureMode::Deployments;
    problems.check(
        deployments == written.api_version.is_some(),
        "spec.azureOpenAI.apiVersion",
        "goes with `mode: Deployments`, and only with it",
    );
    match written.api_version {
        Some(api_version) if deployments => {
            let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
            problems.check(
                (1..=64).contains(&api_version.len()) && api_version.bytes().all(fine),
                "spec.azureOpenAI.apiVersion",
                "is no version, such as 2024-10-21",
            );
            CompiledOptions::AzureDeployments { api_version }
        }
        _ => CompiledOptions::None,
    }
}

fn vertex(spec: &ProviderTargetSpec, problems: &mut Problems) -> CompiledOptions {
    let Some(written) = spec.vertex_ai.as_deref().cloned() else { return CompiledOptions::None };
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b);
    problems.check(
        (1..=128).contains(&written.project.len())
            && written.project.bytes().all(fine)
            && written.project.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "spec.vertexAI.project",
        "is no id of a project",
    );
    problems.check(
        is_place(&written.location),
        "spec.vertexAI.location",
        "is no location, such as europe-west4, eu or global",
    );
    CompiledOptions::VertexAi { project: written.project, location: written.location }
}

fn bedrock(spec: &ProviderTargetSpec, problems: &mut Problems) -> CompiledOptions {
    let Some(written) = spec.bedrock.as_deref().cloned() else { return CompiledOptions::None };
    problems.check(
        is_place(&written.region) && written.region.contains('-'),
        "spec.bedrock.region",
        "is no region, such as eu-west-1",
    );
    if let Some(role) = &written.role_arn {
        let fine = role.len() <= 2048
            && role.bytes().all(|b| b.is_ascii_graphic())
            && role.starts_with("arn:aws")
            && role.contains(":role/");
        problems.check(
            fine,
            "spec.bedrock.roleArn",
            "is no role, such as arn:aws:iam::123456789012:role/NAME",
        );
    }
    CompiledOptions::Bedrock { region: written.region, role_arn: written.role_arn }
}

/// A name that goes into a host's: words of lower case and digits, joined by dashes.
fn is_place(name: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('-').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_from_regions_and_locations() {
        let vertex = |location: &str| {
            let (project, location) = ("p".to_owned(), location.to_owned());
            url(&CompiledOptions::VertexAi { project, location }).unwrap()
        };
        assert_eq!(vertex("global"), "https://aiplatform.googleapis.com/v1");
        assert_eq!(vertex("eu"), "https://aiplatform.eu.rep.googleapis.com/v1");
        assert_eq!(vertex("europe-west4"), "https://europe-west4-aiplatform.googleapis.com/v1");
        let bedrock = |region: &str| {
            url(&CompiledOptions::Bedrock { region: region.to_owned(), role_arn: None }).unwrap()
        };
        assert_eq!(bedrock("eu-west-1"), "https://bedrock-runtime.eu-west-1.amazonaws.com");
        assert_eq!(bedrock("cn-north-1"), "https://bedrock-runtime.cn-north-1.amazonaws.com.cn");
        assert_eq!(url(&CompiledOptions::None), None);
    }

    #[test]
    fn what_goes_into_a_hosts_name_is_one() {
        for good in ["eu", "global", "us-gov-west-1", "europe-west4"] {
            assert!(is_place(good), "{good}");
        }
        for bad in ["", "-", "eu-", "EU", "evil.example/", "eu.x", "1a", "a--b"] {
            assert!(!is_place(bad), "{bad}");
        }
    }
}
