//! Durations as users write them: GEP-2257 strings such as `30s`, `1m30s`, `500ms`.

/// The pattern of a duration in the schema, as GEP-2257 gives it: at most four parts of at most
/// five digits.
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// Milliseconds of such a string; `None` when it is none.
pub fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let (mut total, mut parts) = (0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 =
            rest.get(..digits).filter(|d| (1..=5).contains(&d.len()))?.parse().ok()?;
        rest = rest.get(digits..)?;
        let (unit, after) = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
            .into_iter()
            .find_map(|(name, unit)| Some((unit, rest.strip_prefix(name)?)))?;
        rest = after;
        parts += 1;
        total += number * unit;
    }
    (1..=4).contains(&parts).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_are_read_as_gep_2257_says() {
        for (text, want) in [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            ("1h", Some(3_600_000)),
            ("0s", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("100000s", None),
            ("1h1m1s1ms1s", None),
            ("1d", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
    }
}
