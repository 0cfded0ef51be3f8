//! `cargo bench -p compiler`: ten thousand aliases over 200 targets, compiled. The figure to look
//! at is the ratio to a JSON round trip of the same objects in the same run: milliseconds depend
//! on the machine, the ratio on the compiler alone.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, clippy::panic, reason = "the world is made as in the tests")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{hint::black_box, time::Instant};

use compiler::{World, compile};
use support::scale;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ALIASES: usize = 10_000;
const TARGETS: usize = 200;
const ROUNDS: usize = 7;

fn main() {
    let world = scale::world(ALIASES, TARGETS);
    let (mut compiled, mut round_trip) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        compiled.push(timed(|| {
            black_box(compile(black_box(&world)));
        }));
        round_trip.push(timed(|| json_round_trip(&world)));
    }
    let (compiled, round_trip) = (median(compiled), median(round_trip));
    let aliases = compile(&world).snapshot.aliases;
    let candidates: usize =
        aliases.values().filter_map(|alias| Some(alias.value()?.candidates.len())).sum();
    println!("{candidates} candidates in all");
    println!("compile of {ALIASES} aliases over {TARGETS} targets: {compiled:.1} ms");
    println!("JSON round trip of the same objects: {round_trip:.1} ms");
    println!("ratio: {:.2}", compiled / round_trip);
}

fn timed(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1000.0
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn json_round_trip(world: &World) {
    for stored in world.aliases.values() {
        let text = serde_json::to_string(&*stored.object).unwrap_or_default();
        black_box(serde_json::from_str::<api::ModelAlias>(&text).ok());
    }
    for stored in world.targets.values() {
        let text = serde_json::to_string(&*stored.object).unwrap_or_default();
        black_box(serde_json::from_str::<api::ProviderTarget>(&text).ok());
    }
}
