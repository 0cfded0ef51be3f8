//! `cargo bench -p classify`: how long a prompt of 900 characters takes. Microseconds depend on the
//! machine; the figure to compare over time is the ratio to a CRC-32 of the same texts, a byte at a
//! time, in the same run.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{hint::black_box, time::Instant};

use classify::{Detector, Scratch};

const PROMPTS: usize = 500;
const ROUNDS: usize = 40;
const CHARACTERS: usize = 900;
/// Passes over a text for one figure of the baseline: one takes too little time to measure.
const PASSES: u32 = 50;

fn main() {
    let prompts = prompts();
    let detector = Detector::builtin();
    let mut scratch = Scratch::default();
    let (mut detected, mut baseline) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        for prompt in &prompts {
            let detection = timed(|| {
                black_box(detector.detect(black_box(prompt), &mut scratch));
            });
            let checksum = timed(|| {
                for _ in 0..PASSES {
                    black_box(crc32(black_box(prompt.as_bytes())));
                }
            });
            // The first round warms caches and buffers.
            if round > 0 {
                detected.push(detection);
                baseline.push(checksum / f64::from(PASSES));
            }
        }
    }
    let (p50, p99) = (percentile(&mut detected, 50), percentile(&mut detected, 99));
    let base = percentile(&mut baseline, 50);
    println!("{PROMPTS} prompts of {CHARACTERS} characters, {ROUNDS} times each");
    println!("detect: p50 {p50:.1} us, p99 {p99:.1} us");
    println!("CRC-32 of the same text, bytewise: p50 {base:.2} us");
    println!("ratio of p50: {:.1}, of p99 to the p50 of CRC-32: {:.1}", p50 / base, p99 / base);
}

/// Texts of words, code and signs, some of them beyond ASCII; no two alike.
fn prompts() -> Vec<String> {
    const PIECES: [&str; 20] = [
        "Write a function that ",
        "translate to French: ",
        "the quick brown fox ",
        "über die Brücke ",
        "def f(x):\n    return x + 1\n",
        "how many of the 42 apples ",
        "summarize the passage. ",
        "请总结下面的文章，",
        "positive or negative? ",
        "select * from orders where id = 7; ",
        "Why is it? ",
        "\"quoted\" words, and others; ",
        "$x^2 + y^2 = z^2$ ",
        "Привет, как дела? ",
        "in one sentence ",
        "- an item\n- another\n",
        "https://example.com/a/b.html ",
        "lorem ipsum dolor sit amet ",
        "which of the following ",
        "🙂 and so on ",
    ];
    let mut random = 1_u64;
    let prompt = |_| {
        let mut text = String::new();
        while text.chars().count() < CHARACTERS {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(random >> 40).unwrap_or(0);
            text.push_str(PIECES[at % PIECES.len()]);
            if at % 3 == 0 {
                text.push_str(&format!("{:x} ", random >> 50));
            }
        }
        text.chars().take(CHARACTERS).collect()
    };
    (0..PROMPTS).map(prompt).collect()
}

/// The baseline.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let (mut table, mut at) = ([0; 256], 0_u32);
        while at < 256 {
            let (mut value, mut bit) = (at, 0);
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[at as usize] = value;
            at += 1;
        }
        table
    };
    let step = |sum: u32, byte: &u8| (sum >> 8) ^ TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)];
    !bytes.iter().fold(u32::MAX, step)
}

/// Microseconds.
fn timed(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1e6
}

fn percentile(times: &mut [f64], percent: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() - 1) * percent / 100]
}
