//! The data plane: HTTP server, pipeline, attempts, pools, streams
