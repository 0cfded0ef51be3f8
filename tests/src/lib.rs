//! End-to-end tests of the real binary; the scenarios are in the test targets beside this file.
