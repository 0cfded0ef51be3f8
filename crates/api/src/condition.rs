//! The closed vocabulary of conditions and reasons, and how new conditions replace old ones.

use std::fmt;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// Makes a closed enum of names with a sentence each.
macro_rules! vocabulary {
    ($(#[$doc:meta])* pub enum $name:ident { $($variant:ident $(($class:ident))? = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $(#[doc = $text] $variant),+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it is written in a status.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// What it means, for the reference.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            vocabulary!(@class $($variant $($class)?,)+);
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.name()) }
        }
    };
    (@class $($variant:ident $class:ident,)+) => {
        /// Whether waiting may mend it.
        pub fn class(self) -> Class {
            match self { $(Self::$variant => Class::$class),+ }
        }
    };
    (@class $($variant:ident,)+) => {};
}

vocabulary! {
    /// The type of a condition.
    pub enum ConditionType {
        Accepted = "The spec means something, and the name is not taken.",
        ResolvedRefs = "Everything that it names is there, and may be used.",
        Programmed = "Every ready router serves this generation of the alias or target. Once it did, it stays so while routers come, go and restart. There where the controller knows the routers (--router-service).",
        Ready = "It serves: accepted, programmed, and one candidate at least is usable.",
        Reconciling = "It is not ready, and what is missing may still come.",
        Stalled = "It is not ready, and waiting does not mend it.",
        Shadowed = "Another alias of the same name serves in some namespaces.",
        Healthy = "The provider takes the credential: there, as False, only while routers see that it does not.",
        PriceUnknown = "The price of a candidate is needed and not known.",
        MixedEmbeddingModels = "Embeddings go to the first candidate's model alone.",
        CategoryUnreliable = "A category is hardly ever told, or not at all.",
        BudgetLow = "Four fifths of the budget of an AccessKey are spent, or all of it.",
    }
}

/// What a reason says of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// As it should be.
    Fine,
    /// Not looked at yet.
    Unknown,
    /// Works, but not as its author may expect. Never makes Ready False.
    Warning,
    /// Something is missing that may still come: Reconciling.
    Waiting,
    /// Only an edit mends it: Stalled.
    Permanent,
}

vocabulary! {
    /// The reason of a condition.
    pub enum Reason {
        Accepted(Fine) = "The spec is accepted.",
        Resolved(Fine) = "Every reference is resolved.",
        Programmed(Fine) = "Every ready router serves it.",
        Ready(Fine) = "It serves.",
        Pending(Unknown) = "The controller has not looked at it yet.",
        NoRouters(Unknown) = "No router is ready, so nobody serves it yet.",
        InvalidSpec(Permanent) = "The spec does not decode or breaks a rule.",
        AliasCycle(Permanent) = "An alias leads back to itself, nests more than four deep, or would judge by category itself.",
        TooManyCandidates(Permanent) = "A lineup has more than 64 candidates.",
        NameConflict(Permanent) = "An older alias of the namespace has the same model name.",
        ModelNotOffered(Permanent) = "The ProviderTarget does not list the model.",
        HostNotAllowed(Permanent) = "The Secret's annotation moniker.dev/allowed-hosts does not name the endpoint's host.",
        IdentityNotPermitted(Permanent) = "The namespace is not one of the controller's --workload-identity-namespaces.",
        ExportNotPermitted(Permanent) = "The namespace is not one of the controller's --exporting-namespaces.",
        SelectorUnavailable(Permanent) = "The controller may not read the labels of namespaces, so export by Selector admits none.",
        KeyInUse(Permanent) = "An older AccessKey has the same key.",
        Disabled(Permanent) = "The AccessKey has spec.disabled.",
        Expired(Permanent) = "The time of spec.expiresAt has come.",
        IssuerUnknown(Waiting) = "The keys of the issuer of the cluster's ServiceAccount tokens are not known.",
        SecretInvalid(Permanent) = "The Secret's value cannot be a credential.",
        ServiceInvalid(Permanent) = "The Service cannot be an endpoint.",
        CABundleInvalid(Permanent) = "The ConfigMap's value holds no certificates.",
        RouterRejected(Permanent) = "A router cannot use it, as when it is older than the controller; its last good form stays there.",
        RoutersDisconnected(Waiting) = "Some of the ready routers do not serve this generation yet.",
        TargetNotFound(Waiting) = "There is no such ProviderTarget or ModelAlias, or none that offers the model.",
        SecretNotFound(Waiting) = "There is no such Secret.",
        SecretKeyNotFound(Waiting) = "The Secret has no such key.",
        ServiceNotFound(Waiting) = "There is no such Service.",
        CABundleNotFound(Waiting) = "There is no such ConfigMap, or it has no such key.",
        RefNotPermitted(Waiting) = "The object named is not exported to this namespace.",
        NoUsableTarget(Waiting) = "No candidate is usable; permanent when every cause is.",
        Cordoned(Waiting) = "The ProviderTarget has spec.cordoned; only candidates of a lineup have this reason.",
        Shadowed(Warning) = "An alias of the namespace, or an older exported one, has the same model name.",
        CredentialRejected(Warning) = "The provider refuses the credential, as routers see; Ready stays as it is.",
        OutOfCredit(Warning) = "The provider says that the account has no credit left; Ready stays as it is.",
        PriceUnknown(Warning) = "A candidate has no price: it is last under LowestPrice, and out where guardrails have a ceiling.",
        MixedEmbeddingModels(Warning) = "Entries name different embedding models, whose vectors do not mix.",
        JudgeNeeded(Warning) = "A category has nothing but a description, by which only a model can tell it.",
        BudgetLow(Warning) = "Four fifths of the budget are spent.",
        BudgetSpent(Warning) = "The budget is spent: callers get 402 until the next period, but for models that cost nothing.",
        ExamplesPoor(Warning) = "A category's examples are too few, or too unlike each other, to tell it by.",
    }
}

/// The longest message of a condition in bytes: an Event's limit, so that both can say the same.
pub const MAX_MESSAGE: usize = 1024;

/// A condition as it should be; when it last changed is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The type.
    pub kind: ConditionType,
    /// True, False, or `None` for Unknown.
    pub status: Option<bool>,
    /// The reason.
    pub reason: Reason,
    /// What, where, and how to mend it.
    pub message: String,
}

impl Desired {
    /// `True`, `False` or `Unknown`.
    pub fn status_name(&self) -> &'static str {
        match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }

    fn is(&self, old: &Condition, generation: i64) -> bool {
        old.type_ == self.kind.name()
            && old.status == self.status_name()
            && old.reason == self.reason.name()
            && old.message == self.message
            && old.observed_generation == Some(generation)
    }
}

/// The conditions to write: those desired, in their order, each with the time at which its status
/// last changed: that of `old` where it has the same status, else `now`.
pub fn merge(
    old: &[Condition],
    desired: &[Desired],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    desired
        .iter()
        .map(|want| {
            let before = old.iter().find(|c| c.type_ == want.kind.name());
            let since = before
                .filter(|c| c.status == want.status_name())
                .map_or(Time(now), |c| c.last_transition_time.clone());
            Condition {
                type_: want.kind.name().to_owned(),
                status: want.status_name().to_owned(),
                reason: want.reason.name().to_owned(),
                message: want.message.clone(),
                observed_generation: Some(generation),
                last_transition_time: since,
            }
        })
        .collect()
}

/// Whether the conditions say what is desired already, whenever they changed.
pub fn unchanged(old: &[Condition], desired: &[Desired], generation: i64) -> bool {
    old.len() == desired.len()
        && desired.iter().all(|want| old.iter().any(|c| want.is(c, generation)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(status: bool) -> Vec<Desired> {
        vec![Desired {
            kind: ConditionType::Ready,
            status: Some(status),
            reason: if status { Reason::Ready } else { Reason::NoUsableTarget },
            message: "m".into(),
        }]
    }

    #[test]
    fn the_time_moves_only_when_the_status_does() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let first = merge(&[], &desired(true), 1, at(10));
        assert_eq!(first[0].last_transition_time, Time(at(10)));
        assert!(unchanged(&first, &desired(true), 1));
        let second = merge(&first, &desired(true), 2, at(20));
        assert_eq!(second[0].last_transition_time, Time(at(10)), "only the generation moved");
        assert!(!unchanged(&first, &desired(true), 2));
        let third = merge(&second, &desired(false), 2, at(30));
        assert_eq!(third[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn names_are_unique_and_said() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().all(|r| r.meaning().ends_with('.')));
    }
}
