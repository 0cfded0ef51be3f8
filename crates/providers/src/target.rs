//! How a request is authenticated.

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use routing::AuthKind;

/// Why a credential cannot be sent. It names no part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The key is empty.
    #[error("the key is empty")]
    Empty,
    /// The key has characters that no header may hold.
    #[error("the key has control characters or characters beyond ASCII")]
    Characters,
    /// The scheme is part of the key.
    #[error("the key begins with \"Bearer \": give the key alone")]
    Scheme,
    /// The header's name is missing, or is none.
    #[error("auth.header.name is not the name of a header")]
    HeaderName,
}

/// The header that authenticates a request. One newline at the end of the key is cut, as files and
/// Secrets have it. The value is marked as sensitive, so that no log shows it.
pub fn auth_header(
    kind: AuthKind,
    header: Option<&str>,
    key: &[u8],
) -> Result<Option<(HeaderName, HeaderValue)>, AuthError> {
    let key = key.strip_suffix(b"\n").unwrap_or(key);
    let key = key.strip_suffix(b"\r").unwrap_or(key);
    let (name, mut value) = match kind {
        // A token or a signature is no header that is known beforehand.
        AuthKind::None
        | AuthKind::AWSSigV4
        | AuthKind::GoogleServiceAccount
        | AuthKind::WorkloadIdentity => return Ok(None),
        AuthKind::Bearer => {
            check(key)?;
            let value = [b"Bearer ", key].concat();
            (AUTHORIZATION, HeaderValue::from_bytes(&value).map_err(|_| AuthError::Characters)?)
        }
        AuthKind::Header => {
            check(key)?;
            let name = header.and_then(|h| HeaderName::from_bytes(h.as_bytes()).ok());
            let value = HeaderValue::from_bytes(key).map_err(|_| AuthError::Characters)?;
            (name.ok_or(AuthError::HeaderName)?, value)
        }
    };
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

fn check(key: &[u8]) -> Result<(), AuthError> {
    if key.is_empty() {
        return Err(AuthError::Empty);
    }
    if key.get(..7).is_some_and(|k| k.eq_ignore_ascii_case(b"bearer ")) {
        return Err(AuthError::Scheme);
    }
    if key.iter().all(|b| matches!(b, 0x20..=0x7e)) { Ok(()) } else { Err(AuthError::Characters) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_headers_that_no_log_shows() {
        let (name, value) = auth_header(AuthKind::Bearer, None, b"k1\n").unwrap().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("authorization", &b"Bearer k1"[..]));
        assert_eq!(format!("{value:?}"), "Sensitive");
        let (name, value) =
            auth_header(AuthKind::Header, Some("api-key"), b"k2\r\n").unwrap().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("api-key", &b"k2"[..]));
        assert_eq!(auth_header(AuthKind::None, None, b"").unwrap(), None);
    }

    #[test]
    fn unusable_keys_are_named_without_being_shown() {
        let bearer = |key: &[u8]| auth_header(AuthKind::Bearer, None, key).unwrap_err();
        assert_eq!(bearer(b"\n"), AuthError::Empty);
        assert_eq!(bearer(b"a\nb"), AuthError::Characters);
        assert_eq!(bearer("schlüssel".as_bytes()), AuthError::Characters);
        assert_eq!(bearer(b"Bearer x"), AuthError::Scheme);
        let missing = auth_header(AuthKind::Header, None, b"k").unwrap_err();
        assert_eq!(missing, AuthError::HeaderName);
    }
}
