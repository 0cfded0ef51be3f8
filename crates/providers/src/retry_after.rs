//! How long a provider asks to be left alone: `retry-after-ms`, `Retry-After` in seconds or as a
//! date, or `google.rpc.RetryInfo` in the body. What is none of these says nothing. The bounds are
//! the ejection's business.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};
use serde_json::Value;

/// Longer waits than this are not told apart.
const LONGEST: f64 = 1e9;

/// From the headers of an answer.
pub(crate) fn from_headers(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(|ms| seconds(ms, 1e-3)) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    seconds(value, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })
}

/// From an error object: `details: [{"@type": ".../google.rpc.RetryInfo", "retryDelay": "12s"}]`.
pub(crate) fn from_details(error: &Value) -> Option<Duration> {
    error
        .get("details")?
        .as_array()?
        .iter()
        .find_map(|detail| seconds(detail.get("retryDelay")?.as_str()?.strip_suffix('s')?, 1.0))
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let value = text.parse::<f64>().ok()?;
    Duration::try_from_secs_f64((value * unit).min(LONGEST)).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn header(name: &'static str, value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        from_headers(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn every_form_is_read_and_no_other() {
        let secs = Duration::from_secs;
        assert_eq!(header("retry-after", "7"), Some(secs(7)));
        assert_eq!(header("retry-after", "0"), Some(secs(0)));
        assert_eq!(header("retry-after", "1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(header("retry-after", "999999"), Some(secs(999_999)));
        assert_eq!(header("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(header("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), Some(secs(60)));
        assert_eq!(header("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), Some(secs(0)));
        for garbage in ["soon", "-1", "", "1e400", "inf", "NaN", "0x10", "7s", "."] {
            assert_eq!(header("retry-after", garbage), None, "{garbage}");
        }
        let huge = "99999999999999999999999999999999";
        assert_eq!(header("retry-after", huge), Some(secs(1_000_000_000)));
    }

    #[test]
    fn milliseconds_win() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("9"));
        headers.insert("retry-after-ms", HeaderValue::from_static("8500"));
        let wait = from_headers(&headers, SystemTime::UNIX_EPOCH);
        assert_eq!(wait, Some(Duration::from_millis(8500)));
    }

    #[test]
    fn the_body_may_say_it() {
        let error = serde_json::json!({"details": [
            {"@type": "type.googleapis.com/google.rpc.Help"},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"},
        ]});
        assert_eq!(from_details(&error), Some(Duration::from_millis(12_500)));
    }
}
