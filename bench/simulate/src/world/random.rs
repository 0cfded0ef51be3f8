//! Random worlds: 24 to a set, each with 2 to 7 targets, 1 to 100 routers, drift, brownouts, and
//! at times capacities or a rate limit. A set is the same for ever: its number is its seed.

use std::f64::consts::TAU;

use routing::Rng;

use super::{Target, World};
use crate::draw::{below, normal, one_of};

/// How many worlds a set has.
const WORLDS: u64 = 24;
/// Every target is drawn, so that a world with fewer of them has the same first ones.
const DRAWN: usize = 8;
/// The load lasts so long.
const LENGTH: f64 = 600.0;

/// What makes one target's speed change.
struct Course {
    amplitudes: [f64; 3],
    phases: [f64; 3],
    brownout: (f64, f64, f64),
}

/// The worlds of one set.
pub fn set(number: u64) -> Vec<World> {
    (0..WORLDS).map(|world| draw(number, world)).collect()
}

fn draw(set: u64, number: u64) -> World {
    let seed = set.wrapping_mul(1000).wrapping_add(number).wrapping_mul(7717).wrapping_add(99);
    let rng = &mut Rng::new(seed);
    let count = 2 + below(rng, 6);
    let routers = one_of(rng, &[1, 4, 10, 20, 50, 100]);
    let rate = one_of(rng, &[2.0, 8.0, 20.0, 40.0]);
    let first: Vec<f64> = (0..DRAWN).map(|_| 0.5 * (0.7 * normal(rng)).exp()).collect();
    let token: Vec<f64> = (0..DRAWN).map(|_| 0.018 * (0.5 * normal(rng)).exp()).collect();
    let spread = 0.2 + 0.5 * rng.unit();
    let (periods, courses) = courses(rng);
    let mut targets: Vec<Target> =
        first.iter().zip(&token).take(count).map(|(f, t)| Target::new(*f, *t)).collect();
    if rng.unit() < 0.4 {
        for target in &mut targets {
            target.capacity = rate * 3.0 * (0.3 + 0.9 * rng.unit());
        }
    }
    if rng.unit() < 0.2 {
        targets[below(rng, count)].per_minute = rate * 60.0 * 0.3;
    }
    let sweep = one_of(rng, &[1.0, 5.0, 15.0]);
    World {
        targets,
        routers,
        rate,
        length: LENGTH,
        spread,
        slowness: Box::new(move |target, t| slowness(&courses[target], &periods, t)),
        sweep,
        delay: sweep * 0.5,
        ..World::base(format!("R{set}.{number}"))
    }
}

fn courses(rng: &mut Rng) -> ([f64; 3], Vec<Course>) {
    let three = |rng: &mut Rng, scale: [f64; 3]| scale.map(|s| s * rng.unit());
    let amplitudes: Vec<_> = (0..DRAWN).map(|_| three(rng, [0.5, 0.4, 0.3])).collect();
    let phases: Vec<_> = (0..DRAWN).map(|_| three(rng, [6.3; 3])).collect();
    let periods =
        [600.0 * (0.3 + rng.unit()), 150.0 * (0.5 + rng.unit()), 60.0 * (0.5 + rng.unit())];
    let brownouts = (0..DRAWN).map(|_| {
        let from = LENGTH * rng.unit();
        let to = from + 20.0 + 120.0 * rng.unit();
        let factor = if rng.unit() < 0.4 { 2.0 + 8.0 * rng.unit() } else { 1.0 };
        (from, to, factor)
    });
    let brownouts: Vec<_> = brownouts.collect();
    let courses = amplitudes.into_iter().zip(phases).zip(brownouts);
    let course = |((amplitudes, phases), brownout)| Course { amplitudes, phases, brownout };
    (periods, courses.map(course).collect())
}

fn slowness(course: &Course, periods: &[f64; 3], t: f64) -> f64 {
    let waves = course.amplitudes.iter().zip(&course.phases).zip(periods);
    let drift: f64 = waves.map(|((a, phase), period)| a * (TAU * t / period + phase).sin()).sum();
    let (from, to, factor) = course.brownout;
    drift.exp() * if t >= from && t < to { factor } else { 1.0 }
}
