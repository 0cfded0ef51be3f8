//! What Helm says of the charts without a cluster.

use std::path::Path;

use serde_json::Value;
use testkit::helm::{self, Version, chart};

use super::features::{ALL, refused};
use super::{find, objects, parsed};

#[tokio::test]
async fn lint_finds_nothing() {
    for version in [Version::Four, Version::Three] {
        for name in ["moniker", "moniker-crds"] {
            let chart = chart(name);
            let args = ["lint", "--strict", &chart.to_string_lossy()];
            helm::offline(version, &[&args[..], &helm::OF_CLUSTER].concat(), "")
                .await
                .unwrap()
                .success()
                .unwrap();
        }
    }
}

#[tokio::test]
async fn both_helms_render_the_same() {
    for (name, values) in ALL {
        let render =
            |version| helm::render(version, "moniker", "moniker-system", "moniker", values);
        let four = render(Version::Four).await.unwrap();
        let three = render(Version::Three).await.unwrap();
        assert_eq!(parsed(&four), parsed(&three), "{name}");
    }
    let render = |version| helm::render(version, "moniker-crds", "default", "crds", "{}");
    let four = render(Version::Four).await.unwrap();
    assert_eq!(parsed(&four), parsed(&render(Version::Three).await.unwrap()));
}

/// Values that are refused, and a part of what is said.
const REFUSED: &[(&str, &str)] = &[
    ("routr: {}", "routr"),
    ("router: {replica: 2}", "replica"),
    ("router: {autoscaling: {min: 2}}", "min"),
    ("router: {resources: {limit: {}}}", "limit"),
    ("router: {replicas: 0}", "/router/replicas"),
    ("router: {replicas: '2'}", "/router/replicas"),
    ("router: {service: {type: ExternalName}}", "/router/service/type"),
    ("router: {maxBody: 32MB}", "/router/maxBody"),
    ("router: {allowAnonymous: true}", "/router/allowAnonymous"),
    ("router: {extraArgs: [listen]}", "/router/extraArgs/0"),
    ("image: {digest: latest}", "/image/digest"),
    ("watchNamespaces: [A_B]", "/watchNamespaces/0"),
    ("router: {autoscaling: {minReplicas: 5, maxReplicas: 4}}", "minReplicas (5) is above maxRep"),
    ("router: {terminationGracePeriodSeconds: 5}", "leaves no time after preStopSleepSeconds"),
    ("{watchNamespaces: [a], exportingNamespaces: [b]}", "exportingNamespaces names b"),
    (
        "{watchNamespaces: [a], workloadIdentityNamespaces: [b]}",
        "workloadIdentityNamespaces names b",
    ),
    ("{watchNamespaces: [a], router: {allowAnonymous: b}}", "router.allowAnonymous is b"),
    ("router: {ingress: {enabled: true}}", "without router.ingress.hosts"),
    ("router: {httpRoute: {enabled: true}}", "without router.httpRoute.parentRefs"),
    ("{podMonitor: {enabled: true}, serviceMonitor: {enabled: true}}", "take one"),
    ("test: {keySecret: a}", "without test.model"),
    ("fullnameOverride: 1a", "fullnameOverride"),
];

#[tokio::test]
async fn what_is_unknown_or_unsafe_is_refused_with_a_reason() {
    for (values, why) in REFUSED {
        let said =
            helm::render(Version::Four, "moniker", "moniker-system", "moniker", values).await;
        let error = said.expect_err(values).to_string();
        assert!(error.contains(why), "{values}: {error}");
    }
    let anonymous = ALL.iter().find(|(name, _)| *name == "anonymous").unwrap().1;
    for exposed in ["service: {type: NodePort}", "ingress: {enabled: true, hosts: [{host: a}]}"] {
        let values = anonymous.replace('}', &format!(", {exposed}}}"));
        let said =
            helm::render(Version::Four, "moniker", "moniker-system", "moniker", &values).await;
        let why = refused("anonymous", "ingress").unwrap();
        assert!(said.expect_err(&values).to_string().contains(why));
        let values = values.replace("router: {", "router: {allowAnonymousExposed: true, ");
        objects("moniker-system", "moniker", &values).await;
    }
    let digit = helm::render(Version::Four, "moniker", "moniker-system", "1a", "{}").await;
    assert!(digit.unwrap_err().to_string().contains("set fullnameOverride"));
}

/// Every object of the schema lists its members, but for maps of text and what is passed on to
/// Kubernetes as it is.
fn open(schema: &Value, path: &str, found: &mut Vec<String>) {
    if schema["type"] == "object" && schema["additionalProperties"].is_null() {
        found.push(path.to_owned());
    }
    if schema["properties"].is_object() {
        assert_eq!(schema["additionalProperties"], false, "{path}");
    }
    for part in ["properties", "definitions"] {
        for (name, inner) in schema[part].as_object().into_iter().flatten() {
            open(inner, &format!("{path}/{name}"), found);
        }
    }
    if !schema["items"].is_null() {
        open(&schema["items"], &format!("{path}/items"), found);
    }
}

fn schema(chart_name: &str) -> Value {
    let text = std::fs::read_to_string(chart(chart_name).join("values.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn schemas_are_strict_at_every_level() {
    for (name, open_ones) in [("moniker", &["/asKubernetes"][..]), ("moniker-crds", &[])] {
        let mut found = Vec::new();
        open(&schema(name), "", &mut found);
        assert_eq!(found, open_ones, "{name}");
    }
}

#[test]
fn every_value_has_a_default_and_a_schema() {
    fn same(schema: &Value, root: &Value, values: &serde_yaml::Value, path: &str) {
        let target = schema["$ref"].as_str().and_then(|at| root.pointer(at.strip_prefix('#')?));
        let Some(properties) = target.unwrap_or(schema)["properties"].as_object() else { return };
        let map = values.as_mapping().unwrap_or_else(|| panic!("{path} is no map"));
        for (name, inner) in properties {
            // Of an umbrella chart, and lists or maps that are Kubernetes' own.
            if name == "enabled" && path.is_empty() || path.ends_with("resources") {
                continue;
            }
            let value = map.get(name.as_str());
            let value = value.unwrap_or_else(|| panic!("values.yaml lacks {path}.{name}"));
            same(inner, root, value, &format!("{path}.{name}"));
        }
    }
    for name in ["moniker", "moniker-crds"] {
        let text = std::fs::read_to_string(chart(name).join("values.yaml")).unwrap();
        let schema = schema(name);
        same(&schema, &schema, &serde_yaml::from_str(&text).unwrap(), "");
    }
}

#[tokio::test]
async fn autoscaled_routers_have_no_replicas_of_the_charts() {
    let fixed = objects("n", "m", "{}").await;
    assert_eq!(find(&fixed, "Deployment", "m-router")["spec"]["replicas"], 2);
    let scaled = objects("n", "m", "router: {autoscaling: {enabled: true}}").await;
    assert!(find(&scaled, "Deployment", "m-router")["spec"]["replicas"].is_null());
    let target = &find(&scaled, "HorizontalPodAutoscaler", "m-router")["spec"]["scaleTargetRef"];
    assert_eq!(target["name"], "m-router");
}

#[tokio::test]
async fn what_the_controller_fills_is_never_rendered() {
    for (name, values) in ALL {
        let all = objects("moniker-system", "moniker", values).await;
        for object in all.iter().filter(|o| o["kind"] == "Secret" || o["kind"] == "ConfigMap") {
            for member in ["data", "stringData", "binaryData", "immutable"] {
                assert!(object[member].is_null(), "{name}: {object}");
            }
        }
    }
}

#[tokio::test]
async fn monitors_find_the_ports_that_pods_have() {
    for (kind, values) in [("PodMonitor", "podMonitor"), ("ServiceMonitor", "serviceMonitor")] {
        let values = format!("{values}: {{enabled: true, labels: {{release: prometheus}}}}");
        let all = objects("n", "m", &values).await;
        let selected = if kind == "PodMonitor" { "Deployment" } else { "Service" };
        for component in ["controller", "router"] {
            let monitor = find(&all, kind, &format!("m-{component}"));
            assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
            let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
            let labels = |object: &Value| match kind {
                "PodMonitor" => object["spec"]["template"]["metadata"]["labels"].clone(),
                _ => object["metadata"]["labels"].clone(),
            };
            let is = |object: &&Value| {
                object["kind"] == selected && wanted.iter().all(|(k, v)| labels(object)[k] == *v)
            };
            let found: Vec<_> = all.iter().filter(is).collect();
            assert_eq!(found.len(), 1, "{kind} {component}: {found:#?}");
            let ports = found[0].pointer("/spec/template/spec/containers/0/ports");
            let ports = ports.unwrap_or(&found[0]["spec"]["ports"]).as_array().unwrap();
            assert!(ports.iter().any(|port| port["name"] == "admin"), "{ports:?}");
        }
    }
}

#[tokio::test]
async fn definitions_stay_and_are_those_of_the_types() {
    let render = |values| helm::render(Version::Four, "moniker-crds", "default", "crds", values);
    let rendered = parsed(&render("annotations: {a: b}").await.unwrap());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert_eq!(rendered.len(), files.len());
    for file in files {
        let plain = parsed(&file).remove(0);
        let made = find(
            &rendered,
            "CustomResourceDefinition",
            plain["metadata"]["name"].as_str().unwrap(),
        );
        assert_eq!(made["spec"], plain["spec"]);
        assert_eq!(made["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
        assert_eq!(made["metadata"]["annotations"]["a"], "b");
    }
    for object in parsed(&render("keep: false").await.unwrap()) {
        assert!(object["metadata"]["annotations"].is_null(), "{object:#}");
    }
}
