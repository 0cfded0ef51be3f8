//! The Kubernetes resources of Moniker, their schema, rules, conditions and reasons
