//! Keywords and regexes, as one set of linear-time patterns.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::{CompiledCategory, CustomError, CustomSpec, MAX_RULES};

/// The compiled size of one regex, in bytes. `\w{30}` is about this large.
const ONE: usize = 512 << 10;
/// Of all patterns of an alias.
const ALL: usize = 8 << 20;
/// Of the automaton that is built while searching, which is dropped when it is full.
const CACHE: usize = 2 << 20;

/// The patterns of a category: of its keywords, then its regexes.
pub(super) fn patterns(spec: &CustomSpec, errors: &mut Vec<CustomError>) -> Vec<String> {
    let name = || spec.name.clone();
    for count in [spec.keywords.len(), spec.regexes.len()] {
        if count > MAX_RULES {
            errors.push(CustomError::Rules { name: name(), count });
        }
    }
    let mut keywords = Keywords::default();
    for (at, keyword) in spec.keywords.iter().enumerate() {
        if !keywords.add(keyword) {
            errors.push(CustomError::EmptyKeyword { name: name(), at: at + 1 });
        }
    }
    let mut patterns = keywords.patterns();
    for regex in &spec.regexes {
        match check(regex) {
            Ok(()) => patterns.push(regex.clone()),
            Err(problem) => {
                errors.push(CustomError::Regex { name: name(), regex: regex.clone(), problem });
            }
        }
    }
    patterns
}

fn check(regex: &str) -> Result<(), String> {
    let built = RegexBuilder::new(regex).case_insensitive(true).size_limit(ONE).build();
    match built {
        Ok(regex) if regex.is_match("") => {
            Err("matches an empty text, and so every prompt: ask for at least one character"
                .to_owned())
        }
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(limit)) => Err(format!(
            "is larger than {limit} bytes when compiled: make its counted repetitions smaller, or \
             write (?-u) where ASCII is enough"
        )),
        Err(error) => {
            let last = error.to_string().lines().last().unwrap_or_default().to_owned();
            Err(format!(
                "cannot be read ({last}); look-around and back-references do not exist, so \
                         that every search takes linear time"
            ))
        }
    }
}

/// The set of all patterns, in the order of the categories.
pub(super) fn set(categories: &[CompiledCategory]) -> Result<RegexSet, CustomError> {
    let patterns = categories.iter().flat_map(|category| &category.patterns);
    RegexSetBuilder::new(patterns)
        .case_insensitive(true)
        .size_limit(ALL)
        .dfa_size_limit(CACHE)
        .build()
        .map_err(|error| CustomError::Size(error.to_string()))
}

/// Borders of words, as what stands outside: no word character, or one of a script that puts no
/// spaces between words. Word boundaries as such would make every text that is not ASCII slow.
const OUTSIDE: &str =
    r"[\W\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Tibetan}\p{Myanmar}\p{Khmer}]";

/// Keywords, sorted by whether they must begin and end at a border.
#[derive(Default)]
struct Keywords([Vec<String>; 4]);

impl Keywords {
    /// Adds one; `false` if there is no word in it.
    fn add(&mut self, keyword: &str) -> bool {
        let words: Vec<String> = keyword.split_whitespace().map(regex::escape).collect();
        let trimmed = keyword.trim();
        let (Some(first), Some(last)) = (trimmed.chars().next(), trimmed.chars().next_back())
        else {
            return false;
        };
        let edges = usize::from(has_border(first)) * 2 + usize::from(has_border(last));
        self.0[edges].push(words.join(r"\s+"));
        true
    }

    /// One pattern for each kind.
    fn patterns(self) -> Vec<String> {
        let kinds = self.0.into_iter().enumerate().filter(|(_, words)| !words.is_empty());
        let pattern = |(edges, words): (usize, Vec<String>)| {
            let opens = if edges >= 2 { format!(r"(?:\A|{OUTSIDE})") } else { String::new() };
            let closes = if edges % 2 == 1 { format!(r"(?:{OUTSIDE}|\z)") } else { String::new() };
            format!("{opens}(?:{}){closes}", words.join("|"))
        };
        kinds.map(pattern).collect()
    }
}

/// Whether a word that begins or ends with this character must do so at a border: it is part of
/// words, in a script that separates them.
fn has_border(char: char) -> bool {
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\w$").ok());
    let mut buffer = [0; 4];
    let word = WORD.as_ref().is_some_and(|word| word.is_match(char.encode_utf8(&mut buffer)));
    word && !runs_on(char)
}

/// Scripts that put no spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, kana and Han.
fn runs_on(char: char) -> bool {
    matches!(char,
        '\u{0e00}'..='\u{0fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(keyword: &str, text: &str) -> bool {
        let spec = CustomSpec { keywords: vec![keyword.to_owned()], ..CustomSpec::default() };
        let mut errors = Vec::new();
        let patterns = patterns(&spec, &mut errors);
        assert_eq!(errors, []);
        let category =
            CompiledCategory { name: String::new(), description: None, patterns, trained: None };
        set(&[category]).unwrap().is_match(text)
    }

    #[test]
    fn keywords_are_whole_words_in_any_case() {
        assert!(found("indemnify", "Shall INDEMNIFY the buyer"));
        assert!(!found("indemnify", "indemnifying"));
        assert!(!found("cat", "concatenate"));
        assert!(found("straße", "Die STRASSE: STRAßE"));
        assert!(found("договор", "ДОГОВОР аренды"));
        assert!(!found("art", "art_deco"), "`_` is part of a word");
        assert!(found("art", "art-deco"));
    }

    #[test]
    fn any_white_space_between_words() {
        assert!(found("  force   majeure ", "a force\n\tmajeure clause"));
        assert!(!found("force majeure", "forcemajeure"));
    }

    #[test]
    fn no_border_where_the_edge_is_a_sign() {
        assert!(found("C++", "I know C++."));
        assert!(found("C++", "C++20"));
        assert!(!found("C++", "ABC++"));
        assert!(found(".net", "ASP.NET core"));
        assert!(found("$", "5$"));
    }

    #[test]
    fn scripts_without_spaces_are_searched_for_parts() {
        assert!(found("合同", "请检查这份合同的条款"));
        assert!(found("契約", "この契約書を確認してください"));
        assert!(found("สัญญา", "ตรวจสอบสัญญานี้"));
        assert!(found("API接口", "调用API接口时"), "each edge for itself");
        assert!(!found("API接口", "调用MYAPI接口时"));
        assert!(
            found("docker", "请用docker部署"),
            "a neighbour of such a script is no part of the word"
        );
    }

    #[test]
    fn regexes_are_checked_and_told_about() {
        check(r"\bINV-\d{6}\b").unwrap();
        assert!(check("(a").unwrap_err().contains("cannot be read"));
        assert!(check(r"(?=a)b").unwrap_err().contains("look-around"));
        assert!(check(r"\w{1000}").unwrap_err().contains("larger than"));
        assert!(check("a*").unwrap_err().contains("every prompt"));
        // What blows up where searches backtrack.
        check("(a+)+$").unwrap();
    }
}
