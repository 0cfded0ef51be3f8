//! Ten numbers about the shape of a text.

/// How many there are.
pub(crate) const STATISTICS: usize = 10;

/// Their names, in order.
pub(crate) const NAMES: [&str; STATISTICS] = [
    "length",
    "digits",
    "characters beyond ASCII",
    "brackets and operators",
    "lines",
    "question marks",
    "ends with a question mark",
    "ends with a colon",
    "quotes",
    "count of words",
];

/// Scaled to about one; each is finite.
pub(crate) fn statistics(pieces: [&str; 2]) -> [f32; STATISTICS] {
    let between = (!pieces[1].is_empty()).then_some('\n');
    let chars = pieces[0].chars().chain(between).chain(pieces[1].chars());
    let mut counts = [0_u16; 7];
    let [length, digits, foreign, signs, lines, questions, words] = &mut counts;
    let (mut quoted, mut in_word, mut last) = (false, false, ' ');
    for char in chars {
        *length += 1;
        *digits += u16::from(char.is_ascii_digit() || (!char.is_ascii() && char.is_numeric()));
        *foreign += u16::from(!char.is_ascii());
        *signs += u16::from(matches!(
            char,
            '{' | '}' | '(' | ')' | ';' | '=' | '<' | '>' | '[' | ']' | '_'
        ));
        *lines += u16::from(char == '\n');
        *questions += u16::from(char == '?');
        quoted |= matches!(char, '"' | '\u{201c}');
        let space = char.is_whitespace();
        *words += u16::from(!space && !in_word);
        in_word = !space;
        if !space {
            last = char;
        }
    }
    let [length, digits, foreign, signs, lines, questions, words] = counts.map(f32::from);
    let length = length.max(1.0);
    let flag = |flag| f32::from(u8::from(flag));
    [
        libm::logf(length) / 8.0,
        digits / length * 5.0,
        foreign / length * 3.0,
        signs / length * 10.0,
        lines / length * 20.0,
        questions / length * 50.0,
        flag(last == '?'),
        flag(last == ':'),
        flag(quoted),
        libm::logf(1.0 + words) / 6.0,
    ]
}
