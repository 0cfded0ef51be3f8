//! No reference reaches into another namespace, unless that exports what it names: every field of
//! the schema that refers to an object stands in the table here, and one that does not fails.

#![cfg(test)]

mod support;

use std::collections::BTreeSet;

use api::{Reason, crd, rules::Kind};
use compiler::{Compiled, compile};
use serde_json::{Value, json};

/// A field that refers to an object.
struct Reference {
    /// Where it stands.
    path: &'static str,
    /// What it names, in the namespace NS; exported where EXPORT is replaced.
    named: &'static str,
    /// Who names it, in the namespace `guest`.
    naming: &'static str,
    /// The reason where the object is not reached.
    missed: Reason,
}

const SECRET: &str = "kind: Secret
metadata: {name: thing, namespace: NS}
stringData: {k: sk-1}
";
const TARGET: &str = "kind: ProviderTarget
metadata: {name: thing, namespace: NS}
spec:
  provider: OpenAICompatible
  endpoint: {url: 'https://a.example/v1'}
  auth: {type: None}
  models: [{name: m}]
  EXPORT
";
const ALIAS: &str = "kind: ProviderTarget
metadata: {name: behind, namespace: NS}
spec:
  provider: OpenAICompatible
  endpoint: {url: 'https://a.example/v1'}
  auth: {type: None}
  models: [{name: m}]
---
kind: ModelAlias
metadata: {name: thing, namespace: NS}
spec:
  strategy: {type: Priority}
  targets: [{name: a, model: m, providers: [{name: behind}]}]
  EXPORT
";

const REFERENCES: [Reference; 11] = [
    Reference {
        path: "ProviderTarget.spec.auth.secretRef",
        named: SECRET,
        naming: "kind: ProviderTarget
metadata: {name: t, namespace: guest}
spec:
  provider: OpenAICompatible
  endpoint: {url: 'https://a.example/v1'}
  auth: {type: Bearer, secretRef: {name: thing, key: k}}
  models: [{name: m}]
",
        missed: Reason::SecretNotFound,
    },
    Reference {
        path: "ProviderTarget.spec.endpoint.service",
        named: "kind: Service
metadata: {name: thing, namespace: NS}
spec: {type: ClusterIP}
",
        naming: "kind: ProviderTarget
metadata: {name: t, namespace: guest}
spec:
  provider: OpenAICompatible
  endpoint: {service: {name: thing, port: 80}}
  auth: {type: None}
  models: [{name: m}]
",
        missed: Reason::ServiceNotFound,
    },
    Reference {
        path: "ProviderTarget.spec.endpoint.tls.caBundleRef",
        named: "kind: ConfigMap
metadata: {name: thing, namespace: NS}
data: {k: none}
",
        naming: "kind: ProviderTarget
metadata: {name: t, namespace: guest}
spec:
  provider: OpenAICompatible
  endpoint: {url: 'https://a.example/v1', tls: {caBundleRef: {name: thing, key: k}}}
  auth: {type: None}
  models: [{name: m}]
",
        missed: Reason::CABundleNotFound,
    },
    Reference {
        path: "ModelAlias.spec.targets[].providers",
        named: TARGET,
        naming: "kind: ModelAlias
metadata: {name: t, namespace: guest}
spec:
  strategy: {type: Priority}
  targets: [{name: a, model: m, providers: [{name: thing, namespace: NS}]}]
",
        missed: Reason::RefNotPermitted,
    },
    Reference {
        path: "ModelAlias.spec.targets[].alias",
        named: ALIAS,
        naming: "kind: ModelAlias
metadata: {name: t, namespace: guest}
spec:
  strategy: {type: Priority}
  targets: [{name: a, alias: thing, namespace: NS}]
",
        missed: Reason::RefNotPermitted,
    },
    Reference {
        path: "ModelAlias.spec.categories.default.targets[].providers",
        named: TARGET,
        naming: "kind: ModelAlias
metadata: {name: t, namespace: guest}
spec:
  strategy: {type: Category}
  categories:
    default:
      strategy: {type: Priority}
      targets: [{name: a, model: m, providers: [{name: thing, namespace: NS}]}]
",
        missed: Reason::RefNotPermitted,
    },
    Reference {
        path: "ModelAlias.spec.categories.default.targets[].alias",
        named: ALIAS,
        naming: "kind: ModelAlias
metadata: {name: t, namespace: guest}
spec:
  strategy: {type: Category}
  categories:
    default: {strategy: {type: Priority}, targets: [{name: a, alias: thing, namespace: NS}]}
",
        missed: Reason::RefNotPermitted,
    },
    Reference {
        path: "ModelAlias.spec.categories.overrides[].targets[].providers",
        named: TARGET,
        naming: "kind: ProviderTarget
metadata: {name: own, namespace: guest}
spec:
  provider: OpenAICompatible
  endpoint: {url: 'https://b.example/v1'}
  auth: {type: None}
  models: [{name: m}]
---
kind: ModelAlias
metadata: {name: t, namespace: guest}
spec:
  strategy: {type: Category}
  categories:
    default: {strategy: {type: Priority}, targets: [{name: a, model: m, providers: [{name: own}]}]}
    overrides:
    - name: coding
      strategy: {type: Priority}
      targets: [{name: a, model: m, providers: [{name: thing, namespace: NS}]}]
",
        missed: Reason::RefNotPermitted,
    },
    Reference {
        path: "ModelAlias.spec.categories.overrides[].targets[].alias",
        named: ALIAS,
        naming: "kind: ProviderTarget
metadata: {name: own, namespace: guest}
spec:
  provider: OpenAICompatible
  endpoint: {url: 'https://b.example/v1'}
  auth: {type: None}
  models: [{name: m}]
---
kind: ModelAlias
metadata: {name: t, namespace: guest}
spec:
  strategy: {type: Category}
  categories:
    default: {strategy: {type: Priority}, targets: [{name: a, model: m, providers: [{name: own}]}]}
    overrides:
    - name: coding
      strategy: {type: Priority}
      targets: [{name: a, alias: thing, namespace: NS}]
",
        missed: Reason::RefNotPermitted,
    },
    Reference {
        path: "ModelAlias.spec.categories.detector.alias",
        named: ALIAS,
        naming: "kind: ProviderTarget
metadata: {name: own, namespace: guest}
spec:
  provider: OpenAICompatible
  endpoint: {url: 'https://b.example/v1'}
  auth: {type: None}
  models: [{name: m}]
---
kind: ModelAlias
metadata: {name: t, namespace: guest}
spec:
  strategy: {type: Category}
  categories:
    detector: {type: Alias, alias: {name: thing, namespace: NS}}
    default: {strategy: {type: Priority}, targets: [{name: a, model: m, providers: [{name: own}]}]}
    overrides:
    - name: coding
      strategy: {type: Priority}
      targets: [{name: a, model: m, providers: [{name: own}]}]
",
        missed: Reason::RefNotPermitted,
    },
    Reference {
        path: "AccessKey.spec.secretRef",
        named: SECRET,
        naming: "kind: AccessKey
metadata: {name: t, namespace: guest}
spec: {secretRef: {name: thing, key: k}}
",
        missed: Reason::SecretNotFound,
    },
];

/// Fields that name what is looked up elsewhere, and where it is shown that they stay at home.
const ELSEWHERE: [(&str, &str); 1] = [(
    "AccessKey.spec.serviceAccount",
    "routers, who find it by the namespace of a token: a_pod_is_known_by_its_token, of the target cluster",
)];

impl Reference {
    /// Both objects, what is named in this namespace, exported or not.
    fn compiled(&self, namespace: &str, export: bool) -> Compiled {
        let export = if export { "export: {from: All}" } else { "" };
        let named = self.named.replace("EXPORT", export);
        let text = format!(
            "kind: Settings\nexportingNamespaces: [owner]\n---\n{named}---\n{}",
            self.naming
        );
        compile(&support::yaml(&text.replace("NS", namespace)))
    }

    /// Whether it is reached.
    fn reached(&self, compiled: &Compiled) -> bool {
        let missed = compiled
            .findings
            .iter()
            .any(|one| one.reason == self.missed && *one.id.namespace == *"guest");
        let guests = guests(compiled);
        assert!(!missed || !guests.contains("owner"), "{}: {guests}", self.path);
        !missed
    }

    fn exports(&self) -> bool {
        self.named.contains("EXPORT")
    }
}

/// What routers are told of the objects of `guest`, without the alias that is exported to it.
fn guests(compiled: &Compiled) -> String {
    let snapshot = &compiled.snapshot;
    let text = |value: Value| value.to_string();
    let aliases = snapshot.aliases.iter().filter(|(id, _)| *id.namespace == *"guest");
    let targets = snapshot.targets.iter().filter(|(id, _)| *id.namespace == *"guest");
    let keys = snapshot.keys.iter().filter(|(id, _)| *id.namespace == *"guest");
    let all = aliases.map(|one| text(json!(one)));
    let all =
        all.chain(targets.map(|one| text(json!(one)))).chain(keys.map(|one| text(json!(one))));
    all.collect::<Vec<_>>().join("\n")
}

#[test]
fn no_reference_reaches_what_is_not_exported_to_it() {
    for one in &REFERENCES {
        let path = one.path;
        assert!(one.reached(&one.compiled("guest", false)), "{path}: its own is not reached");
        assert!(!one.reached(&one.compiled("owner", false)), "{path}: another's is reached");
        if one.exports() {
            assert!(one.reached(&one.compiled("owner", true)), "{path}: what is exported is not");
        }
        // A slash leads nowhere.
        if !one.naming.contains("NS") {
            let naming = one.naming.replace("name: thing", "name: owner/thing");
            let named = one.named.replace("NS", "owner");
            let compiled = compile(&support::yaml(&format!("{named}---\n{naming}")));
            let refused = compiled.findings.iter().any(|found| *found.id.namespace == *"guest");
            assert!(refused, "{path}: another's is reached through a slash");
        }
    }
}

#[test]
fn every_reference_of_the_schema_is_in_the_table() {
    let mut found = BTreeSet::new();
    for kind in Kind::ALL {
        let schema = crd::schema(kind, false);
        walk(&format!("{}.spec", kind.name()), &schema["properties"]["spec"], &mut found);
    }
    let table = REFERENCES.iter().map(|one| one.path).chain(ELSEWHERE.iter().map(|one| one.0));
    let table: BTreeSet<String> = table.map(str::to_owned).collect();
    assert_eq!(found, table, "a field refers to an object: show here that it stays at home");
}

/// The paths of fields that refer to objects: by their names, or since a namespace stands in them or
/// beside them.
fn walk(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    const WORDS: [&str; 9] = [
        "alias",
        "configMap",
        "ref",
        "secret",
        "service",
        "serviceAccount",
        "target",
        "provider",
        "providers",
    ];
    let own_namespace = schema["properties"].get("namespace").is_some();
    let mut any = found.contains(path.trim_end_matches("[]"));
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{path}.{name}");
        let names =
            WORDS.contains(&name.as_str()) || name.ends_with("Ref") || name.ends_with("Refs");
        // The kind of an API, and not an object.
        if names && member.get("enum").is_none() {
            found.insert(at.clone());
            any = true;
        }
        walk(&at, member, found);
        if member["items"].is_object() {
            walk(&format!("{at}[]"), &member["items"], found);
        }
    }
    assert!(any || !own_namespace, "{path} has a namespace and names nothing that is known here");
}
