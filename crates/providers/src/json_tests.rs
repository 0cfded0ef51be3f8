//! The reader against serde_json, and the decisions where they differ.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn accepts(bytes: &[u8]) -> Result<(), JsonError> {
    let mut reader = Reader::new(bytes)?;
    reader.skip()?;
    reader.end()
}

/// What serde_json says, with its limit of depth but without its opinion on the size of numbers
/// and on surrogates.
fn oracle(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    serde_json::from_str::<IgnoredAny>(text).is_ok()
        && !serde_json::from_str::<serde_json::Value>(text)
            .is_err_and(|e| e.to_string().starts_with("recursion limit"))
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[ -~]{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn accepts_what_serde_json_writes(v in value(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&v) } else { serde_json::to_string(&v) };
        prop_assert_eq!(accepts(text.unwrap().as_bytes()), Ok(()));
    }

    #[test]
    fn agrees_on_damaged_text(v in value(), at: prop::sample::Index, with: u8, cut: bool) {
        let mut bytes = serde_json::to_vec(&v).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.remove(at); } else { bytes[at] = with; }
        prop_assert_eq!(accepts(&bytes).is_ok(), oracle(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn agrees_on_noise(text in "[\\[\\]{}\",:\\\\0-9eE+.\\-truefalsn \n\tud8]{0,24}") {
        prop_assert_eq!(accepts(text.as_bytes()).is_ok(), oracle(text.as_bytes()));
    }

    #[test]
    fn strings_mean_the_same(text: String) {
        let json = serde_json::to_string(&text).unwrap();
        let escaped = text.encode_utf16().fold(String::new(), |s, u| s + &format!("\\u{u:04X}"));
        for json in [json, format!("\"{escaped}\"")] {
            let read = Reader::new(json.as_bytes()).unwrap().string().unwrap();
            prop_assert!(read.is(&text));
            prop_assert_eq!(read.decoded().unwrap(), text.as_str());
        }
    }

    #[test]
    fn plain_stops_where_it_should(bytes: Vec<u8>) {
        let slow = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | ..0x20));
        prop_assert_eq!(plain(&bytes), slow.unwrap_or(bytes.len()));
    }
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |n: usize| format!("{}{}{}", open.repeat(n), "1", close.repeat(n));
        assert!(accepts(nested(127).as_bytes()).is_ok());
        let error = accepts(nested(128).as_bytes()).unwrap_err();
        assert_eq!(error.what, "nested deeper than 127 levels");
        assert!(accepts(nested(100_000).as_bytes()).is_err());
    }
}

#[test]
fn what_the_grammar_allows_passes() {
    assert!(accepts(b"[1e400, -0, 123456789012345678901234567890]").is_ok());
    assert!(accepts(br#""\ud800""#).is_ok());
    let mut reader = Reader::new(br#""\ud83d""#).unwrap();
    assert!(reader.string().unwrap().decoded().is_none());
}

#[test]
fn what_it_does_not_is_named() {
    for (text, what) in [
        (&b"\xef\xbb\xbf{}"[..], "a byte order mark before the JSON at byte 0"),
        (b"{\"a\": 1} {}", "text after the end of the JSON at byte 9"),
        (b"{\"a\"", "the JSON ends too early at byte 4"),
        (b"[NaN]", "expected a value at byte 1"),
        (b"[1,]", "expected a value at byte 3"),
        (b"{\"a\":1,}", "expected a member's name in quotes at byte 7"),
        (b"\"\xff\"", "not UTF-8 at byte 1"),
        (b"\"a\nb\"", "a control character in a string at byte 2"),
        (b"[01]", "expected a comma or the end of the array at byte 2"),
    ] {
        assert_eq!(accepts(text).unwrap_err().to_string(), what);
    }
}
