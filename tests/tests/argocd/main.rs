//! GitOps with a real Argo CD: `deploy/argocd` as the guide has it, from an empty cluster to served
//! requests and back. `cargo xtask test --node` runs this within the network of a cluster of its own,
//! since what is installed here watches all of it.

#[cfg(test)]
mod applications;
#[cfg(test)]
mod gitops;
#[cfg(test)]
#[path = "../node/pods.rs"]
mod pods;
