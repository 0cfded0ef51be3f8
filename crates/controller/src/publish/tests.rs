//! The publisher by itself.
