//! The test control plane itself: both API servers start, know their users, and come back.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::Api;
use testkit::control_plane::{ControlPlane, Version};

async fn answers_kubectl(version: Version, expected: &str) {
    let plane = ControlPlane::start(version).await.unwrap();
    let said = plane.kubectl(&["version"], "").await.unwrap().success().unwrap();
    assert!(said.contains(&format!("Server Version: {expected}")), "{said}");
    assert!(said.contains("Client Version: v1.37"), "{said}");
    let said = plane.kubectl(&["get", "namespaces"], "").await.unwrap().success().unwrap();
    assert!(said.contains("kube-system"), "{said}");
    let refused = plane.kubectl(&["get", "unicorns"], "").await.unwrap();
    assert_ne!(refused.code, 0);
    assert!(refused.success().unwrap_err().to_string().contains("unicorns"));
}

#[tokio::test]
async fn the_current_api_server_answers_kubectl() {
    answers_kubectl(Version::Current, "v1.37").await;
}

#[tokio::test]
async fn the_oldest_api_server_answers_kubectl() {
    answers_kubectl(Version::Oldest, "v1.33").await;
}

#[tokio::test]
async fn users_may_do_what_rbac_lets_them() {
    let plane = ControlPlane::shared(Version::Current).await.unwrap();
    let namespace = plane.namespace("users").await.unwrap();
    let role = "create clusterrole reads-namespaces --verb=get --resource=namespaces";
    let made = plane.kubectl(&role.split(' ').collect::<Vec<_>>(), "").await.unwrap();
    made.success().unwrap();
    let users =
        [plane.user("jane").unwrap(), plane.service_account(&namespace, "robot").await.unwrap()];
    for user in users {
        let namespaces: Api<Namespace> = Api::all(user.client().await.unwrap());
        let refused = namespaces.get(&namespace).await.unwrap_err();
        assert!(matches!(&refused, kube::Error::Api(status) if status.is_forbidden()), "{refused}");
        let said = plane.kubectl_as(&user, &["auth", "whoami"], "").await.unwrap();
        assert!(said.stdout.contains(user.name()), "{said:?}");
        plane.bind_cluster_role(&user, "reads-namespaces").await.unwrap();
        namespaces.get(&namespace).await.unwrap();
        let said = plane.kubectl_as(&user, &["delete", "namespace", &namespace], "").await.unwrap();
        assert!(said.stderr.contains("Forbidden"), "{said:?}");
    }
}

#[tokio::test]
async fn the_api_server_comes_back_with_its_data() {
    let mut plane = ControlPlane::start(Version::Current).await.unwrap();
    let namespace = plane.namespace("restart").await.unwrap();
    let yaml = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: kept, namespace: {namespace}}}\n"
    );
    plane.apply(&yaml).await.unwrap();
    let url = plane.url();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().await.unwrap(), &namespace);

    plane.stop_api_server();
    maps.get("kept").await.unwrap_err();
    plane.start_api_server().await.unwrap();

    assert_eq!(plane.url(), url);
    maps.get("kept").await.unwrap();
}
