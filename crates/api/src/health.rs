//! The condition `Healthy` of a ProviderTarget: what routers saw of its credential. It is there
//! while they are refused and says nothing of Ready, for the spec may be as right as it can be.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use routing::outcome::Fault;

use crate::{ConditionType, ProviderTargetStatus, Reason};

/// Why the provider refuses a target's credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthFault {
    /// It does not know the key, or the key may not do what it is asked.
    CredentialRejected,
    /// The account has no credit left.
    OutOfCredit,
}

impl HealthFault {
    /// What all that routers saw of one target comes to: each outcome for which one of them leaves
    /// it alone. A key that is refused goes first, for with it nothing else can be known.
    pub fn of(outcomes: impl IntoIterator<Item = Fault>) -> Option<Self> {
        let faults = outcomes.into_iter().filter_map(|outcome| match outcome {
            Fault::Auth => Some(Self::CredentialRejected),
            Fault::OutOfCredit => Some(Self::OutOfCredit),
            _ => None,
        });
        faults.min()
    }

    /// The reason of the condition.
    pub fn reason(self) -> Reason {
        match self {
            Self::CredentialRejected => Reason::CredentialRejected,
            Self::OutOfCredit => Reason::OutOfCredit,
        }
    }

    /// What is wrong and how to mend it. The same for the same fault, so that a status is written
    /// once for it.
    pub fn message(self) -> &'static str {
        match self {
            Self::CredentialRejected => {
                "the provider refuses the credential that spec.auth names, so routers leave this \
                 target alone and ask again from time to time; put a key that works into the Secret"
            }
            Self::OutOfCredit => {
                "the provider says that the account has no credit left, so routers leave this \
                 target alone and ask again from time to time; pay, or use another account's key"
            }
        }
    }
}

impl ProviderTargetStatus {
    /// This status with what routers saw: `Healthy=False` with its reason, or no such condition
    /// where nothing is wrong. When it changed is left to the writer, as for every condition.
    #[must_use]
    pub fn with_health(mut self, fault: Option<HealthFault>) -> Self {
        self.conditions.retain(|condition| condition.type_ != ConditionType::Healthy.name());
        if let Some(fault) = fault {
            self.conditions.push(Condition {
                type_: ConditionType::Healthy.name().to_owned(),
                status: "False".to_owned(),
                reason: fault.reason().name().to_owned(),
                message: fault.message().to_owned(),
                observed_generation: self.observed_generation,
                last_transition_time: Time(Timestamp::UNIX_EPOCH),
            });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_concerns_the_credential_is_a_fault_and_a_refused_key_goes_first() {
        let of = |outcomes: &[Fault]| HealthFault::of(outcomes.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[Fault::ServerError, Fault::RateLimited]), None);
        let both = [Fault::OutOfCredit, Fault::Connect, Fault::Auth];
        assert_eq!(of(&both), Some(HealthFault::CredentialRejected));
        assert_eq!(of(&both[..2]), Some(HealthFault::OutOfCredit));
    }

    #[test]
    fn the_condition_comes_goes_and_leaves_the_others_alone() {
        let ready = Condition {
            type_: "Ready".into(),
            status: "True".into(),
            reason: "Ready".into(),
            message: "it can serve".into(),
            observed_generation: Some(3),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        let status = ProviderTargetStatus {
            observed_generation: Some(3),
            conditions: vec![ready.clone()],
            ..ProviderTargetStatus::default()
        };
        let ill = status.clone().with_health(Some(HealthFault::OutOfCredit));
        let healthy = &ill.conditions[1];
        assert_eq!(ill.conditions[0], ready);
        assert_eq!((healthy.type_.as_str(), healthy.status.as_str()), ("Healthy", "False"));
        assert_eq!(
            (healthy.reason.as_str(), healthy.observed_generation),
            ("OutOfCredit", Some(3))
        );
        let other = ill.with_health(Some(HealthFault::CredentialRejected));
        assert_eq!(other.conditions.len(), 2);
        assert_eq!(other.with_health(None), status);
        for fault in [HealthFault::CredentialRejected, HealthFault::OutOfCredit] {
            assert!(fault.message().len() <= crate::condition::MAX_MESSAGE);
        }
    }
}
