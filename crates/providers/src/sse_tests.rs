//! Events wherever the bytes are split.

use proptest::prelude::*;

use super::*;

fn cut(chunks: impl IntoIterator<Item = Bytes>, max: usize) -> Result<Vec<Bytes>, TooLong> {
    let mut splitter = Splitter::new(max);
    let mut out = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        while let Some(event) = splitter.next()? {
            out.push(event);
        }
    }
    out.extend(splitter.rest());
    Ok(out)
}

fn whole(text: &str) -> Vec<Bytes> {
    cut([Bytes::from(text.to_owned())], usize::MAX).unwrap()
}

#[test]
fn every_line_end_ends_lines() {
    for end in ["\n", "\r\n", "\r"] {
        let text = format!(": hi{end}{end}event: x{end}data: 1{end}data:2{end}{end}data: 3");
        let events = whole(&text);
        assert_eq!(events.concat(), text.as_bytes());
        let read: Vec<_> = events.iter().map(|e| fields(e)).collect();
        assert_eq!(read.len(), 3, "{end:?}");
        assert_eq!(read[0], Fields::default());
        assert_eq!((read[1].name, &*read[1].data), (&b"x"[..], &b"1\n2"[..]));
        assert_eq!(&*read[2].data, b"3");
    }
}

#[test]
fn fields_are_read_as_the_standard_has_them() {
    for (event, data) in [
        ("data:  two\n\n", " two"),
        ("data\n\n", ""),
        ("data\ndata: x\n\n", "\nx"),
        ("\u{feff}data: bom\n\n", "bom"),
        ("id: 1\nretry: 5\nfoo: bar\ndata: y\n\n", "y"),
        ("data: a:b\n\n", "a:b"),
        (" data: indented\n\n", ""),
    ] {
        assert_eq!(fields(event.as_bytes()).data, data.as_bytes(), "{event:?}");
    }
}

#[test]
fn one_chunk_is_sliced_and_not_copied() {
    let text = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
    let events = cut([text.clone()], usize::MAX).unwrap();
    assert_eq!(events[1].as_ptr(), text[9..].as_ptr());
}

#[test]
fn an_endless_line_is_cut_off() {
    let chunks = (0..).map(|_| Bytes::from_static(b"data: more and more "));
    assert_eq!(cut(chunks, 1_000), Err(TooLong));
    let exact = Bytes::from_static(b"data: 1\n\n");
    assert!(cut([exact.clone()], 9).is_ok());
    assert_eq!(cut([exact], 8), Err(TooLong));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        parts in prop::collection::vec(
            prop_oneof!["data: [a-z\u{e9}]{0,9}", ": c", "event: e", Just(String::new())], 0..12),
        ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let text: String = parts.iter().zip(&ends).flat_map(|(p, e)| [p.as_str(), *e]).collect();
        let expected = whole(&text);
        prop_assert_eq!(expected.concat(), text.as_bytes());
        let bytes = Bytes::from(text);
        for at in 0..=bytes.len() {
            let halves = cut([bytes.slice(..at), bytes.slice(at..)], usize::MAX).unwrap();
            prop_assert_eq!(&halves, &expected, "split at {}", at);
        }
        let mut at: Vec<_> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces = at.windows(2).map(|w| bytes.slice(w[0]..w[1])).collect::<Vec<_>>();
        prop_assert_eq!(cut(pieces, usize::MAX).unwrap(), expected);
    }
}
