//! Findings: what is wrong with which object, for `moniker validate`, logs and tests. Statuses say
//! the same, object by object.

use api::{ConditionType, Reason, condition::Class};
use routing::ObjectId;
use serde::{Serialize, Serializer};

use crate::world::Kind;

/// Something that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of the object.
    pub kind: Kind,
    /// Its name.
    pub id: ObjectId,
    /// The condition that it shows in.
    #[serde(serialize_with = "condition_name")]
    pub condition: ConditionType,
    /// The reason.
    #[serde(serialize_with = "reason_name")]
    pub reason: Reason,
    /// What is wrong, and how to mend it.
    pub message: String,
    /// Where in the object, such as `spec.targets[0].providers[1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Finding {
    /// Whether the object works all the same, but not as its author may expect.
    pub fn is_warning(&self) -> bool {
        self.reason.class() == Class::Warning
    }

    /// What findings are sorted by.
    pub(crate) fn order(&self) -> impl Ord + '_ {
        (self.kind, &self.id, self.condition, &self.path, self.reason, &self.message)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn condition_name<S: Serializer>(condition: &ConditionType, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(condition.name())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn reason_name<S: Serializer>(reason: &Reason, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(reason.name())
}
