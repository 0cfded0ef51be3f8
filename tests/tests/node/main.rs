//! What needs a node that runs pods: the product's image, and the product on a cluster. `cargo xtask
//! test` runs this target within the network of a cluster of its own, where one can run.

#[cfg(test)]
mod image;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod release;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod traffic;
