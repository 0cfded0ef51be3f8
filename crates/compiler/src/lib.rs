//! World of objects to routing snapshot and findings, pure and deterministic
