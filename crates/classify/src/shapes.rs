//! Shapes that no phrase can say: code, formulas, lists. One pass over the text's bytes.

use crate::{
    patterns::{Edges, Matches},
    rules::{RULES, Rule, SHAPE_KINDS, Shape},
};

/// The rule of each shape; past the table for a shape that no rule asks for.
const RULE_OF: [usize; SHAPE_KINDS] = {
    let (mut all, mut at) = ([RULES.len(); SHAPE_KINDS], 0);
    while at < RULES.len() {
        if let Rule::Shape(shape) = RULES[at].1 {
            all[shape as usize] = at;
        }
        at += 1;
    }
    all
};

/// How lines of code begin, in ASCII lower case, after any white space.
const OPENINGS: &[&str] = &[
    "def ",
    "class ",
    "import ",
    "from ",
    "#include",
    "using ",
    "public ",
    "private ",
    "static ",
    "const ",
    "let ",
    "var ",
    "func ",
    "fn ",
    "return ",
    "return;",
    "if (",
    "for (",
    "while (",
    "if(",
    "for(",
    "while(",
    "else:",
    "else {",
    "try:",
    "try {",
    "select ",
    "insert into ",
    "create table",
    "print(",
    "@",
    "<html",
    "<div",
    "<?",
    "<!",
    "package ",
    "function ",
    "void ",
    "int main",
    "async ",
    "await ",
    "#!/",
    "$ ",
    "assert ",
    "echo ",
    "sudo ",
    "struct ",
    "enum ",
    "end;",
    "int ",
    "self.",
    "elif ",
    "raise ",
    "throw ",
    "console.",
    "namespace ",
    "module ",
    "export ",
    "int(",
    "string ",
];

/// Endings of technical files.
const ENDINGS: &[&str] = &[
    "py", "js", "ts", "txt", "csv", "json", "html", "cpp", "java", "sh", "log", "xml", "yaml",
    "yml", "conf", "tar", "gz", "zip", "exe", "php", "css", "c", "h", "rs", "go", "sql", "cs",
    "rb", "md", "ini", "xlsx", "pdf", "jar", "tmp",
];

/// Finds the shapes of a text in pieces.
pub(crate) fn shapes([head, tail]: [&str; 2], found: &mut Matches) {
    if tail.is_empty() {
        let edges = Edges::of(head);
        piece(head, edges, found);
        or_at_end(head, edges, found);
    } else {
        piece(head, Edges { tail: usize::MAX, ..Edges::of(head) }, found);
        let edges = Edges { head: 0, ..Edges::of(tail) };
        piece(tail, edges, found);
        or_at_end(tail, edges, found);
    }
}

fn piece(text: &str, edges: Edges, found: &mut Matches) {
    let mut note = |shape, start, end| note(shape, start, end, edges, found);
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let end =
            bytes[start..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| start + n);
        line(&bytes[start..end], start, &mut note);
        start = end + 1;
    }
    let mut dollar = None;
    for (at, byte) in bytes.iter().copied().enumerate() {
        let rest = &bytes[at..];
        let next = rest.get(1).copied().unwrap_or(b' ');
        let before = if at == 0 { b' ' } else { bytes[at - 1] };
        match byte {
            b'`' if rest.starts_with(b"```") => note(Shape::Fence, at, at + 3),
            b')' if next == b';' => note(Shape::Code, at, at + 2),
            b'=' | b'-' if next == b'>' => note(Shape::Code, at, at + 2),
            b':' if next == b':' => note(Shape::Code, at, at + 2),
            b'<' if next == b'/' => note(Shape::Code, at, at + 2),
            b'"' | b'\'' | b'>' if next == byte && rest.get(2) == Some(&byte) => {
                note(Shape::Docstring, at, at + 3);
            }
            b'(' if before.is_ascii_alphanumeric() || before == b'_' => {
                let inside =
                    rest[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_');
                let close = inside.count() + 1;
                if rest.get(close) == Some(&b')') {
                    note(Shape::Call, at - 1, at + close + 1);
                }
            }
            b'\\' if next.is_ascii_alphabetic() => note(Shape::Tex, at, at + 2),
            b'$' => {
                if let Some(open) = dollar.take_if(|open| at - *open <= 80 && at - *open > 1) {
                    note(Shape::Tex, open, at + 1);
                } else {
                    dollar = Some(at);
                }
                if next.is_ascii_digit() {
                    note(Shape::Amount, at, at + 2);
                }
            }
            b'%' if before.is_ascii_digit() => note(Shape::Amount, at - 1, at + 1),
            b'/' => {
                operator(bytes, at, &mut note);
                file(bytes, at, &mut note);
            }
            b'+' | b'-' | b'*' | b'^' | b'=' | b'<' | b'>' => operator(bytes, at, &mut note),
            b'.' => file(bytes, at, &mut note),
            _ => {}
        }
    }
}

fn note(shape: Shape, start: usize, end: usize, edges: Edges, found: &mut Matches) {
    let rule = RULE_OF[shape as usize];
    if rule < RULES.len() {
        found.note(rule, start, end, edges);
    }
}

/// What the beginning and the end of a line tell.
fn line(line: &[u8], start: usize, note: &mut impl FnMut(Shape, usize, usize)) {
    let line = line.trim_ascii_end();
    let trimmed = line.trim_ascii_start();
    let end = start + line.len();
    if matches!(trimmed.last(), Some(b'{' | b'}' | b';')) {
        note(Shape::Code, end - 1, end);
    }
    let opens = |opening: &str| {
        trimmed.len() >= opening.len()
            && trimmed[..opening.len()].eq_ignore_ascii_case(opening.as_bytes())
    };
    if OPENINGS.iter().any(|opening| opens(opening)) {
        note(Shape::CodeLine, start, end);
    }
    match trimmed {
        [b'-' | b'*', b' ', ..] | [b'0'..=b'9', b'.' | b')', b' ', ..] => {
            note(Shape::Item, start, end);
        }
        [0xE2, 0x80, 0xA2, ..] => note(Shape::Item, start, end),
        [b'(', b'a'..=b'e' | b'A'..=b'E' | b'1'..=b'5', b')', ..]
        | [b'A'..=b'E' | b'a'..=b'e', b')' | b'.' | b':', b' ', ..] => {
            note(Shape::Choice, start, end);
        }
        _ => {}
    }
}

/// An operator between operands, the second a number.
fn operator(bytes: &[u8], at: usize, note: &mut impl FnMut(Shape, usize, usize)) {
    let left = bytes[..at].trim_ascii_end();
    let right = bytes[at + 1..].trim_ascii_start();
    if at - left.len() > 2 || bytes.len() - at - 1 - right.len() > 2 {
        return;
    }
    let Some(last) = left.last() else { return };
    let letter = last.is_ascii_alphabetic()
        && left.len().checked_sub(2).is_none_or(|at| !left[at].is_ascii_alphanumeric());
    let sign = !matches!(bytes[at], b'*' | b'/' | b'<' | b'>');
    if right.first().is_some_and(u8::is_ascii_digit) && (last.is_ascii_digit() || (letter && sign))
    {
        note(Shape::Arithmetic, left.len() - 1, at + 2);
    }
}

/// A file's ending after a dot, or a path after a slash.
fn file(bytes: &[u8], at: usize, note: &mut impl FnMut(Shape, usize, usize)) {
    let rest = &bytes[at + 1..];
    let word = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let before = if at == 0 { b' ' } else { bytes[at - 1] };
    let is = if bytes[at] == b'.' {
        let name = before.is_ascii_alphanumeric() || matches!(before, b'*' | b'_');
        name && ENDINGS.iter().any(|ending| ending.as_bytes() == &rest[..word])
    } else {
        (before.is_ascii_whitespace() || before == b'"')
            && word > 1
            && rest.get(word) == Some(&b'/')
    };
    if is {
        note(Shape::File, at, at + 1 + word);
    }
}

/// `... or X?` with at most three words after the `or`.
fn or_at_end(text: &str, edges: Edges, found: &mut Matches) {
    let mut words = text.split_whitespace().rev();
    if words.by_ref().take(1).count() == 1
        && words.take(3).any(|word| word.eq_ignore_ascii_case("or"))
    {
        note(Shape::OrAtEnd, text.len().saturating_sub(1), text.len(), edges, found);
    }
}
