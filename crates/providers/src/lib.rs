//! Provider dialects: requests, responses, streams and errors, sans-IO
