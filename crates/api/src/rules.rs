//! The CEL rules of the kinds, in one table: the CRDs carry them, `moniker validate` and the tests
//! run them, the reference lists them. What one object can decide is a rule here; what needs other
//! objects is a condition.

use routing::{AuthKind, Endpoint, ProviderKind};

mod categories;
mod spending;

/// Which kind a rule belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ProviderTarget.
    ProviderTarget,
    /// ModelAlias.
    ModelAlias,
    /// AccessKey.
    AccessKey,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::ProviderTarget, Self::ModelAlias, Self::AccessKey];

    /// As it is written in YAML.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProviderTarget => "ProviderTarget",
            Self::ModelAlias => "ModelAlias",
            Self::AccessKey => "AccessKey",
        }
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, by which tests find its documents.
    pub id: String,
    /// The kind.
    pub kind: Kind,
    /// The path of what `self` is: member names, `[]` for each item; empty for the object.
    pub at: &'static [&'static str],
    /// The expression.
    pub rule: String,
    /// What is wrong and what to do.
    pub message: String,
    /// `moniker dev` leaves it out: plain HTTP and loopback are fine there.
    pub relaxed_in_dev: bool,
}

/// Headers that hold a credential, in lower case.
pub const CREDENTIAL_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "x-auth-token",
    "cookie",
];

/// Headers that belong to the connection or to the body, in lower case.
pub const CONNECTION_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
];

/// Every rule of every kind.
pub fn all() -> Vec<Rule> {
    let mut rules = provider_target();
    rules.extend(model_alias());
    rules.push(Rule {
        id: "one-kind-of-key".to_owned(),
        kind: Kind::AccessKey,
        at: &["spec"],
        rule: "!(has(self.secretRef) && has(self.serviceAccount))".to_owned(),
        message: "name secretRef or serviceAccount, not both: a caller has a key or tokens"
            .to_owned(),
        relaxed_in_dev: false,
    });
    rules.extend(spending::rules());
    rules
}

fn provider_target() -> Vec<Rule> {
    const SPEC: &[&str] = &["spec"];
    const ENDPOINT: &[&str] = &["spec", "endpoint"];
    const AUTH: &[&str] = &["spec", "auth"];
    const PROBE: &[&str] = &["spec", "probe"];
    let rule = |id: &str, at, rule: &str, message: &str| Rule {
        id: id.to_owned(),
        kind: Kind::ProviderTarget,
        at,
        rule: rule.to_owned(),
        message: message.to_owned(),
        relaxed_in_dev: false,
    };
    let relaxed = |r: Rule| Rule { relaxed_in_dev: true, ..r };
    let those = |which: fn(ProviderKind) -> bool| {
        let found = ProviderKind::ALL.iter().filter(|p| which(**p)).map(|p| format!("'{p}'"));
        found.collect::<Vec<_>>().join(", ")
    };
    let placed = those(|p| !p.needs_endpoint());
    let own_header = those(|p| p.key_header().is_some());
    let auths = |which: fn(AuthKind) -> bool| {
        let found = AuthKind::ALL.iter().filter(|a| which(**a)).map(|a| format!("'{a}'"));
        found.collect::<Vec<_>>().join(", ")
    };
    let with_key = auths(AuthKind::needs_secret_key);
    let without_secret = auths(|kind| !kind.needs_secret());
    let connection = spellings(CONNECTION_HEADERS);
    let generations: Vec<_> = Endpoint::ALL.iter().map(|e| format!("'/{}'", e.path())).collect();
    let generations = generations.join(", ");
    let headers = [spellings(CREDENTIAL_HEADERS), connection.clone()].join(", ");
    let mut rules = vec![
        rule(
            "endpoint-required",
            SPEC,
            &format!("has(self.endpoint) || self.provider in [{placed}]"),
            "endpoint is required: this provider has no address of its own; set endpoint.url or endpoint.service",
        ),
        rule(
            "headers-no-credentials",
            SPEC,
            &format!("!has(self.headers) || self.headers.all(k, !(k in [{headers}]))"),
            "headers may not carry credentials or headers of the connection: put the key in a Secret and name it in auth.secretRef",
        ),
        rule(
            "endpoint-one",
            ENDPOINT,
            "has(self.url) != has(self.service)",
            "set exactly one of url and service",
        ),
        relaxed(rule(
            "url-https",
            ENDPOINT,
            "!has(self.url) || self.url.startsWith('https://')",
            "url must begin with https://; a server in the cluster is reached by service",
        )),
        rule(
            "url-form",
            ENDPOINT,
            r"!has(self.url) || self.url.matches('(?i)^https?://([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?(/[^?#\\s\\\\]*)?$')",
            "url must be https://host, then a port and a path if wanted; no user, query, fragment or spaces",
        ),
        rule(
            "url-not-cluster",
            ENDPOINT,
            r"!has(self.url) || !self.url.matches('(?i)^https?://[^/:]*\\.(svc|cluster\\.local)\\.?(:|/|$)')",
            "url names a Service of the cluster: use service {name, port} instead",
        ),
        relaxed(rule(
            "url-not-loopback",
            ENDPOINT,
            r"!has(self.url) || !self.url.matches('(?i)^https?://(localhost|[^/:]*\\.localhost|127\\.[^/:]*|0\\.[^/:]*|\\[[0:]+1?\\]|\\[[0:]*:ffff:[^\\]]*\\])\\.?(:|/|$)')",
            "url names the router itself: write the provider's DNS name, or use service for a server in the cluster",
        )),
        rule(
            "url-not-disguised",
            ENDPOINT,
            r"!has(self.url) || !self.url.matches('(?i)^https?://([^/:]*\\.)?(0x[0-9a-f]*|[0-9]+)\\.?(:|/|$)') || self.url.matches('(?i)^https?://((0|[1-9][0-9]{0,2})\\.){3}(0|[1-9][0-9]{0,2})(:|/|$)')",
            "url has a number for a host: write an IPv4 address as four decimal numbers, or a DNS name",
        ),
        rule(
            "url-not-link-local",
            ENDPOINT,
            r"!has(self.url) || !self.url.matches('(?i)^https?://(169\\.254\\.[^/:]*|100\\.100\\.100\\.200|168\\.63\\.129\\.16|192\\.0\\.0\\.192|metadata|metadata\\.google\\.internal|metadata\\.goog|instance-data|\\[fe[89ab][0-9a-f]:[^\\]]*\\]|\\[fd00:0?ec2:[^\\]]*\\])\\.?(:|/|$)')",
            "url names a link-local or metadata address, which is never a provider: write the provider's own",
        ),
        rule(
            "auth-secret-required",
            AUTH,
            &format!("self.type in [{without_secret}] || has(self.secretRef)"),
            "secretRef is required: name the Secret and the key that hold the credential, or set type: None",
        ),
        rule(
            "auth-secret-refused",
            AUTH,
            &format!("!(self.type in [{without_secret}]) || !has(self.secretRef)"),
            "secretRef means nothing with type None or WorkloadIdentity: remove it, or set the type of the credential that the Secret holds",
        ),
        rule(
            "auth-secret-key",
            AUTH,
            &format!(
                "!has(self.secretRef) || has(self.secretRef.key) || !(self.type in [{with_key}])"
            ),
            "secretRef.key is required: name the key of the Secret that holds the credential",
        ),
        rule(
            "auth-secret-no-key",
            AUTH,
            "self.type != 'AWSSigV4' || !has(self.secretRef) || !has(self.secretRef.key)",
            "secretRef.key means nothing with type: AWSSigV4: the Secret has access-key-id, secret-access-key and maybe session-token",
        ),
        rule(
            "auth-header",
            AUTH,
            "!has(self.header) || self.type == 'Header'",
            "header belongs to type: Header, and means nothing with another",
        ),
        rule(
            "auth-header-required",
            SPEC,
            &format!(
                "self.auth.type != 'Header' || has(self.auth.header) || self.provider in [{own_header}]"
            ),
            "auth.header is required with type: Header: name the header in which this provider wants its key",
        ),
        rule(
            "auth-header-name",
            &["spec", "auth", "header"],
            &format!("!(self.name in [{connection}])"),
            "this header belongs to the connection: name the one in which the provider wants its key",
        ),
        rule(
            "azure-api-version",
            &["spec", "azureOpenAI"],
            "has(self.apiVersion) == (has(self.mode) && self.mode == 'Deployments')",
            "apiVersion is required with mode: Deployments, and only with it",
        ),
        rule(
            "azure-url",
            SPEC,
            r"self.provider != 'AzureOpenAI' || !has(self.endpoint) || !has(self.endpoint.url) || !self.endpoint.url.matches('(?i)/openai(/v1)?/*$')",
            "endpoint.url of AzureOpenAI is that of the resource, such as https://NAME.openai.azure.com: remove /openai or /openai/v1, which are added",
        ),
        rule(
            "ejection-order",
            &["spec", "ejection"],
            "duration(has(self.base) ? self.base : '5s') <= duration(has(self.max) ? self.max : '5m')",
            "base must not be longer than max",
        ),
        rule(
            "ejection-not-zero",
            &["spec", "ejection"],
            &not_zero(&["base", "max"]),
            "base and max must be longer than 0",
        ),
        rule(
            "quota-limit",
            &["spec", "quotas", "[]"],
            "has(self.requestsPerMinute) || has(self.tokensPerMinute) || has(self.inputTokensPerMinute) || has(self.outputTokensPerMinute)",
            "a quota needs a limit: set requestsPerMinute, tokensPerMinute, inputTokensPerMinute or outputTokensPerMinute",
        ),
        rule(
            "quota-models-offered",
            SPEC,
            "!has(self.quotas) || self.quotas.all(q, !has(q.models) || q.models.all(m, self.models.exists(x, x.name == m)))",
            "a quota names a model that is not in models: correct the name, or leave models out for all of them",
        ),
        rule(
            "probe-interval",
            PROBE,
            "!has(self.interval) || duration(self.interval) >= duration('1s')",
            "interval must be 1s or longer",
        ),
        rule(
            "probe-no-generation",
            PROBE,
            &format!("!has(self.path) || !(self.path in [{generations}])"),
            "a probe never generates: name a path that costs nothing, such as /models",
        ),
        rule(
            "target-export-selector",
            &["spec", "export"],
            "(self.from == 'Selector') == has(self.selector)",
            "selector is required with from: Selector, and only with it",
        ),
    ];
    for provider in ProviderKind::ALL {
        if let Some(member) = provider.options() {
            rules.push(rule(
                &format!("options-{member}"),
                SPEC,
                &format!("!has(self.{member}) || self.provider == '{provider}'"),
                &format!(
                    "{member} belongs to provider: {provider}, and means nothing with another"
                ),
            ));
            if provider.needs_options() {
                rules.push(rule(
                    &format!("options-{member}-required"),
                    SPEC,
                    &format!("self.provider != '{provider}' || has(self.{member})"),
                    &format!("{member} is required with provider: {provider}"),
                ));
            }
        }
        let fits = provider.auth_kinds();
        if AuthKind::ALL.iter().all(|kind| fits.contains(kind)) {
            continue;
        }
        let quoted = fits.iter().map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ");
        let named = fits.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        rules.push(rule(
            &format!("auth-of-{provider}"),
            SPEC,
            &format!("self.provider != '{provider}' || self.auth.type in [{quoted}]"),
            &format!("{provider} does not take this auth.type: choose one of {named}"),
        ));
    }
    rules
}

fn model_alias() -> Vec<Rule> {
    const SPEC: &[&str] = &["spec"];
    const TIMEOUTS: &[&str] = &["spec", "timeouts"];
    const AFFINITY: &[&str] = &["spec", "affinity"];
    let unfit = [spellings(CREDENTIAL_HEADERS), spellings(CONNECTION_HEADERS)].join(", ");
    let rule = of_alias;
    let mut rules = vec![
        rule(
            "model-immutable",
            &[],
            "(has(self.spec.model) ? self.spec.model : self.metadata.name) == (has(oldSelf.spec.model) ? oldSelf.spec.model : oldSelf.metadata.name)",
            "model cannot be changed, since applications use it: make another alias and delete this one",
        ),
        rule(
            "model-no-slash",
            SPEC,
            "!has(self.model) || !self.model.contains('/')",
            "model may not hold a slash: provider/model names a model without an alias",
        ),
        rule(
            "first-token-within-request",
            TIMEOUTS,
            "!has(self.firstToken) || duration(self.firstToken) <= duration(has(self.request) ? self.request : '600s')",
            "firstToken must not be longer than request (600s where it is absent)",
        ),
        rule(
            "attempt-within-request",
            TIMEOUTS,
            "!has(self.attempt) || duration(self.attempt) <= duration(has(self.request) ? self.request : '600s')",
            "attempt must not be longer than request (600s where it is absent)",
        ),
        rule(
            "timeouts-not-zero",
            TIMEOUTS,
            &not_zero(&["request", "attempt", "firstToken", "streamIdle"]),
            "timeouts must be longer than 0: leave one out for its default",
        ),
        rule(
            "affinity-header",
            AFFINITY,
            "(self.by == 'Header') == has(self.header)",
            "header is required with by: Header, and only with it",
        ),
        rule(
            "affinity-header-name",
            AFFINITY,
            &format!("!has(self.header) || !(self.header in [{unfit}])"),
            "this header is the same for every session of a caller, or not passed on: name one that tells sessions apart",
        ),
        rule(
            "max-price-one",
            &["spec", "guardrails", "maxPrice"],
            "has(self.input) || has(self.output)",
            "set input, output or both, or leave maxPrice out",
        ),
        rule(
            "alias-export-selector",
            &["spec", "export"],
            "(self.from == 'Selector') == has(self.selector)",
            "selector is required with from: Selector, and only with it",
        ),
    ];
    rules.extend(categories::rules());
    rules
}

fn of_alias(id: &str, at: &'static [&'static str], rule: &str, message: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        kind: Kind::ModelAlias,
        at,
        rule: rule.to_owned(),
        message: message.to_owned(),
        relaxed_in_dev: false,
    }
}

/// That each of these durations is longer than nothing where it is there.
fn not_zero(fields: &[&str]) -> String {
    let each =
        fields.iter().map(|f| format!("(!has(self.{f}) || duration(self.{f}) > duration('0s'))"));
    each.collect::<Vec<_>>().join(" && ")
}

/// These names as a list of CEL, as they are usually spelt. Equality is cheap whatever a key's
/// length, while lowering its case exceeds the cost limit; the compiler compares without case.
fn spellings(names: &[&str]) -> String {
    let quoted = names.iter().flat_map(|name| [(*name).to_owned(), title_case(name)]);
    quoted.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

/// `x-api-key` as `X-Api-Key`.
fn title_case(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let mut chars = part.chars();
        chars
            .next()
            .map_or_else(String::new, |c| c.to_ascii_uppercase().to_string() + chars.as_str())
    });
    parts.collect::<Vec<_>>().join("-")
}
