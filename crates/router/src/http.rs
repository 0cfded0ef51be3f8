//! What is served, and what every request must be like before anything is read of its body: one
//! plain match on the path, and limits that name themselves.

use http::{HeaderMap, Method, StatusCode, Version, header, request::Parts};
use routing::Endpoint;

use crate::{conn::Lengths, errors::Refusal};

/// The most bytes of headers, names and values.
pub(crate) const MAX_HEADER_BYTES: usize = 32 * 1024;
/// The most headers.
pub(crate) const MAX_HEADERS: usize = 100;

/// What is served, for errors.
fn served() -> String {
    let calls: Vec<String> = Endpoint::ALL.iter().map(|e| format!("/v1/{}", e.path())).collect();
    format!(
        "POST {} and /v1/explain/{{path}}, GET /v1/models and /v1/models/{{id}}",
        calls.join(", ")
    )
}

/// The shape of what the router itself says to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

/// The shape that a caller understands: told by the path, and by the header that Anthropic's
/// clients always send.
pub(crate) fn shape(path: &str, headers: &HeaderMap) -> Shape {
    let below = path.strip_prefix("/v1/").or_else(|| path.strip_prefix('/')).unwrap_or(path);
    let messages = below == "messages" || below.starts_with("messages/");
    if messages || headers.contains_key("anthropic-version") {
        Shape::Anthropic
    } else {
        Shape::OpenAi
    }
}

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    /// A call that is routed to a target.
    Call(Endpoint),
    /// The same, of the model that the path names, as Azure's clients ask.
    Deployment(&'p str, Endpoint),
    /// The decision for such a call, and its reasons.
    Explain(Endpoint),
    /// The list of models.
    Models,
    /// One model, its name as it stands in the path.
    Model(&'p str),
}

/// What a request is for, by method and path.
pub(crate) fn route<'p>(method: &Method, path: &'p str) -> Result<Route<'p>, Refusal> {
    let below = path.strip_prefix("/v1/").or_else(|| path.strip_prefix('/')).unwrap_or(path);
    let (found, allow) = if let Some(endpoint) = Endpoint::from_path(below) {
        (Route::Call(endpoint), Method::POST)
    } else if let Some((model, endpoint)) = deployment(path) {
        (Route::Deployment(model, endpoint), Method::POST)
    } else if below == "models" {
        (Route::Models, Method::GET)
    } else if let Some(id) = below.strip_prefix("models/").filter(|id| !id.is_empty()) {
        (Route::Model(id), Method::GET)
    } else if let Some(endpoint) = below
        .strip_prefix("explain/")
        .and_then(|rest| Endpoint::from_path(rest.strip_prefix("v1/").unwrap_or(rest)))
    {
        (Route::Explain(endpoint), Method::POST)
    } else {
        let message = format!(
            "{method} {} is not served by this router: it serves {}. What is bound to one \
             provider's account (files, batches, assistants, fine-tuning, stored objects) is asked \
             of that provider directly.",
            shown(path),
            served()
        );
        return Err(Refusal::request(StatusCode::NOT_FOUND, "unsupported_endpoint", message));
    };
    if *method == allow {
        return Ok(found);
    }
    let message = format!("{} is asked by {allow}, not {method}.", shown(path));
    let mut refusal =
        Refusal::request(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    refusal.allow = Some(if allow == Method::POST { "POST" } else { "GET" });
    Err(refusal)
}

/// The model, as it stands in the path, and the endpoint of a path of Azure's.
fn deployment(path: &str) -> Option<(&str, Endpoint)> {
    let (model, rest) = path.strip_prefix("/openai/deployments/")?.split_once('/')?;
    Endpoint::from_path(rest).filter(|_| !model.is_empty()).map(|endpoint| (model, endpoint))
}

/// What a caller typed, cut for a message.
pub(crate) fn shown(text: &str) -> &str {
    let mut end = text.len().min(200);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Refuses what is malformed or too large in the head of any request.
pub(crate) fn check_head(parts: &Parts, lengths: &Lengths) -> Result<(), Refusal> {
    let headers = &parts.headers;
    if headers.len() > MAX_HEADERS {
        let message =
            format!("The request has {} headers; at most {MAX_HEADERS} are read.", headers.len());
        return Err(too_large(message));
    }
    let bytes: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    if bytes > MAX_HEADER_BYTES {
        let message = format!(
            "The request's headers are {bytes} bytes; at most {MAX_HEADER_BYTES} are read."
        );
        return Err(too_large(message));
    }
    if parts.version < Version::HTTP_2 {
        if !lengths.admit(headers) {
            return Err(Refusal::bad_request(
                "The request has both Content-Length and Transfer-Encoding: send one of them.",
            )
            .closing());
        }
        let hosts = headers.get_all(header::HOST).iter().count();
        if hosts != 1 {
            return Err(Refusal::bad_request(format!(
                "The request has {hosts} Host headers: send exactly one."
            ))
            .closing());
        }
    } else if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(Refusal::bad_request("The request has several Host headers: send one."));
    }
    Ok(())
}

fn too_large(message: String) -> Refusal {
    Refusal::request(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "request_headers_too_large",
        message,
    )
    .closing()
}

/// Refuses a body that is no plain JSON by what its headers say, or is longer than `max_body`.
/// Says how long it will be, where it says so.
pub(crate) fn check_body(headers: &HeaderMap, max_body: u64) -> Result<Option<u64>, Refusal> {
    for coding in headers.get_all(header::CONTENT_ENCODING) {
        if !coding.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(Refusal::request(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_encoding",
                format!(
                    "The body's content-encoding is {}: only identity is read, so send it \
                     uncompressed.",
                    coding.to_str().map_or("unreadable", shown)
                ),
            )
            .closing());
        }
    }
    if let Some(kind) = headers.get(header::CONTENT_TYPE)
        && !is_json(kind.as_bytes())
    {
        return Err(Refusal::request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_content_type",
            format!(
                "The body's content-type is {}: send JSON as application/json.",
                kind.to_str().map_or("unreadable", shown)
            ),
        )
        .closing());
    }
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    match length {
        Some(length) if length > max_body => Err(body_too_large(max_body)),
        length => Ok(length),
    }
}

/// 413, naming the limit.
pub(crate) fn body_too_large(max_body: u64) -> Refusal {
    let limit = match max_body {
        size if size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        size if size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        size => format!("{size} bytes"),
    };
    Refusal::request(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request_too_large",
        format!("The request's body is larger than this router's limit of {limit} (--max-body)."),
    )
    .closing()
}

fn is_json(kind: &[u8]) -> bool {
    let kind = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/json")
        || (kind.len() > 5
            && kind.get(..12).is_some_and(|k| k.eq_ignore_ascii_case(b"application/"))
            && kind[kind.len() - 5..].eq_ignore_ascii_case(b"+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_say() {
        let chat = Endpoint::ChatCompletions;
        for path in ["/v1/chat/completions", "/chat/completions"] {
            assert_eq!(route(&Method::POST, path).unwrap(), Route::Call(chat));
        }
        for path in ["/v1/explain/chat/completions", "/explain/v1/chat/completions"] {
            assert_eq!(route(&Method::POST, path).unwrap(), Route::Explain(chat));
        }
        assert_eq!(route(&Method::GET, "/v1/models").unwrap(), Route::Models);
        assert_eq!(route(&Method::GET, "/models/a/b").unwrap(), Route::Model("a/b"));
        for (path, endpoint) in
            [("/v1/messages", Endpoint::Messages), ("/responses", Endpoint::Responses)]
        {
            assert_eq!(route(&Method::POST, path).unwrap(), Route::Call(endpoint));
        }
        assert_eq!(
            route(&Method::POST, "/openai/deployments/a%20b/chat/completions").unwrap(),
            Route::Deployment("a%20b", chat)
        );
        for path in ["/openai/deployments/a", "/openai/deployments//chat/completions"] {
            assert_eq!(route(&Method::POST, path).unwrap_err().status, 404, "{path}");
        }
        for path in ["/", "/v1/files", "/v1/v1/models", "/v1/chat/completions/", "/metrics", "*"] {
            let refusal = route(&Method::POST, path).unwrap_err();
            assert_eq!(refusal.status, 404, "{path}");
            assert_eq!(refusal.code, "unsupported_endpoint");
        }
        let refusal = route(&Method::GET, "/v1/embeddings").unwrap_err();
        assert_eq!((refusal.status.as_u16(), refusal.allow), (405, Some("POST")));
    }

    #[test]
    fn anthropics_clients_are_told_in_their_shape() {
        let none = HeaderMap::new();
        let version = HeaderMap::from_iter([(
            header::HeaderName::from_static("anthropic-version"),
            header::HeaderValue::from_static("2023-06-01"),
        )]);
        for path in ["/v1/messages", "/messages", "/v1/messages/batches"] {
            assert_eq!(shape(path, &none), Shape::Anthropic, "{path}");
        }
        for path in ["/v1/chat/completions", "/v1/models", "/v1/messagesx"] {
            assert_eq!(shape(path, &none), Shape::OpenAi, "{path}");
            assert_eq!(shape(path, &version), Shape::Anthropic, "{path}");
        }
    }

    #[test]
    fn json_by_its_media_type() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in ["text/plain", "", "+json", "application/x-www-form-urlencoded", "jsonjson+json"]
        {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }
}
