//! An object of ours as it is stored, whether or not it decodes: one that does not is reported on
//! itself alone, and its list goes on.
//!
//! The status is held apart, as text: an old one must not keep a good spec from decoding, and it
//! is what the next one is compared with, on an object that does not decode too.

use std::borrow::Cow;
use std::fmt::Debug;

use kube::Resource;
use kube::api::ObjectMeta;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::status::Text;

/// kubectl's copy of what was applied, which can be larger than the rest of an object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct Stored<K> {
    /// Without what nobody here reads.
    pub(crate) meta: ObjectMeta,
    pub(crate) status: Text,
    /// The object without its status, or why it does not decode.
    pub(crate) object: Result<K, String>,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Stored<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut whole = Value::deserialize(deserializer)?;
        if let Some(meta) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("managedFields");
            if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.remove(LAST_APPLIED);
            }
        }
        let meta = ObjectMeta::deserialize(&whole["metadata"]).map_err(D::Error::custom)?;
        let status = whole.as_object_mut().and_then(|fields| fields.remove("status"));
        let status = Text::of(&status);
        let object = serde_path_to_error::deserialize(whole).map_err(|error| error.to_string());
        Ok(Self { meta, status, object })
    }
}

impl<K: Resource> Resource for Stored<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    use super::*;

    fn stored(spec: &Value) -> Stored<Service> {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "a", "resourceVersion": "7",
                "managedFields": [{"manager": "m"}],
                "annotations": {LAST_APPLIED: "{}", "kept": "yes"},
            },
            "spec": spec,
            "status": {"loadBalancer": "no object"},
        }))
        .unwrap()
    }

    #[test]
    fn a_bad_object_is_known_by_its_name_and_its_field() {
        let bad = stored(&json!({"ports": [{"port": "http"}]}));
        assert_eq!(bad.meta.name.as_deref(), Some("a"));
        let error = bad.object.unwrap_err();
        assert!(error.contains("spec"), "{error}");
    }

    #[test]
    fn an_old_status_keeps_no_spec_from_decoding() {
        let good = stored(&json!({"type": "ExternalName"}));
        assert!(good.object.is_ok());
        assert_eq!(good.status, Text::of(&json!({"loadBalancer": "no object"})));
        assert!(good.meta.managed_fields.is_none());
        assert_eq!(good.meta.annotations.unwrap().len(), 1);
    }
}
