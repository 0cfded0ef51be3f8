//! Logs and metrics: every metric name, redaction
