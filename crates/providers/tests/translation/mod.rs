//! What the tests of translation share: recorded answers, published schemas, splits of bytes.

pub(crate) mod coverage;
pub(crate) mod recordings;
pub(crate) mod splits;
