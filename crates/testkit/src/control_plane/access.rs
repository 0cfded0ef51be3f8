//! Gives users what a role allows. The API server's authorizer learns of a binding through a
//! watch, a moment after the write was answered, so giving ends only when it has learned.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::time::{Instant, sleep};

use super::error::Error;
use super::launch::{PATIENCE, PERIOD};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) async fn bind(admin: Client, user: &str, role: &str) -> Result<(), Error> {
    let roles: Api<ClusterRole> = Api::all(admin.clone());
    let rules = roles.get(role).await?.rules.unwrap_or_default();
    let bindings: Api<ClusterRoleBinding> = Api::all(admin.clone());
    bindings.create(&PostParams::default(), &binding(user, role)).await?;
    // A role is taken as a whole, so one of its rules stands for all.
    match rules.iter().find_map(|rule| review(user, rule)) {
        Some(review) => until_allowed(&Api::all(admin), &review, role).await,
        None => Ok(()),
    }
}

fn binding(user: &str, role: &str) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: ObjectMeta { generate_name: Some("test-".to_owned()), ..ObjectMeta::default() },
        role_ref: RoleRef {
            api_group: GROUP.to_owned(),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(vec![Subject {
            api_group: Some(GROUP.to_owned()),
            kind: "User".to_owned(),
            name: user.to_owned(),
            namespace: None,
        }]),
    }
}

/// The question whether the user may do the first thing that the rule allows.
fn review(user: &str, rule: &PolicyRule) -> Option<SubjectAccessReview> {
    let named = rule.resources.as_ref()?.first()?;
    let (resource, subresource) = match named.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (named.as_str(), None),
    };
    let attributes = ResourceAttributes {
        group: rule.api_groups.as_ref()?.first().cloned(),
        resource: Some(resource.to_owned()),
        subresource,
        name: rule.resource_names.as_ref().and_then(|names| names.first().cloned()),
        verb: rule.verbs.first().cloned(),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    Some(SubjectAccessReview { spec, ..SubjectAccessReview::default() })
}

async fn until_allowed(
    reviews: &Api<SubjectAccessReview>,
    review: &SubjectAccessReview,
    role: &str,
) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let answer = reviews.create(&PostParams::default(), review).await?;
        if answer.status.is_some_and(|status| status.allowed) {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(Error::NotHeeded { role: role.to_owned() });
        }
        sleep(PERIOD).await;
    }
}
