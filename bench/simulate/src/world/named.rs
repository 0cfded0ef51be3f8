//! The named worlds S1 to S13: each one thing that goes wrong in practice.

use std::f64::consts::PI;

use super::{Target, World};

/// All of them.
pub fn all() -> Vec<World> {
    vec![
        World::base("S1_static"),
        World { slowness: drift(240.0), ..World::base("S2_drift") },
        World {
            slowness: Box::new(
                |target, t| if best_within(target, t, 200.0, 320.0) { 8.0 } else { 1.0 },
            ),
            ..World::base("S3_brownout")
        },
        World {
            hangs: Box::new(|target, t| best_within(target, t, 200.0, 260.0)),
            ..World::base("S4_hang")
        },
        World {
            slowness: Box::new(|target, t| {
                let odd = (t / 20.0).rem_euclid(2.0) >= 1.0;
                if target == 0 && odd { 6.0 } else { 1.0 }
            }),
            ..World::base("S5_flapping")
        },
        cold("S6_cold_fast", (0.15, 0.007)),
        cold("S7_cold_slow", (6.0, 0.15)),
        heavy_tail(),
        herd(),
        rate_limited(),
        World { rate: 0.5, length: 6000.0, slowness: drift(1600.0), ..World::base("S11_sparse") },
        World {
            failing: Box::new(
                |target, t| if best_within(target, t, 200.0, 400.0) { 0.35 } else { 0.0 },
            ),
            ..World::base("S12_errors")
        },
        saturated(),
    ]
}

/// Whether it is the fastest target, within these times.
fn best_within(target: usize, t: f64, from: f64, to: f64) -> bool {
    target == 0 && t >= from && t < to
}

/// Speeds that drift, each target a quarter of a period behind the one before.
fn drift(period: f64) -> super::OfTime<f64> {
    Box::new(move |target, t| {
        let phase = f64::from(u32::try_from(target).unwrap_or(0)) / 4.0;
        (0.9 * (2.0 * PI * (t / period + phase)).sin()).exp()
    })
}

/// A target that comes when all others are known.
fn cold(name: &str, new: (f64, f64)) -> World {
    let speeds = [new, (0.5, 0.018), (0.8, 0.025), (1.5, 0.04), (0.6, 0.02)];
    World {
        targets: speeds.map(|(first, token)| Target::new(first, token)).to_vec(),
        exists: Box::new(|target, t| target != 0 || t >= 200.0),
        ..World::base(name)
    }
}

fn heavy_tail() -> World {
    let speeds = [(0.3, 0.012), (0.36, 0.0145), (0.8, 0.025), (1.5, 0.04)];
    let mut targets = speeds.map(|(first, token)| Target::new(first, token)).to_vec();
    targets[0].tail = (0.08, 15.0);
    World { targets, ..World::base("S8_heavy_tail") }
}

fn herd() -> World {
    let targets = [(0.3, 0.012, 60.0), (0.35, 0.014, 60.0), (0.4, 0.016, 60.0), (0.9, 0.03, 200.0)];
    World {
        targets: capped(targets),
        routers: 50,
        rate: 40.0,
        delay: 5.0,
        ..World::base("S9_herd50")
    }
}

fn rate_limited() -> World {
    let mut world = World::base("S10_429");
    world.targets[0].per_minute = 360.0;
    world
}

fn saturated() -> World {
    let targets = [(0.3, 0.012, 25.0), (0.5, 0.018, 40.0), (0.8, 0.025, 60.0), (1.5, 0.04, 300.0)];
    World { targets: capped(targets), rate: 30.0, ..World::base("S13_saturate") }
}

fn capped(targets: [(f64, f64, f64); 4]) -> Vec<Target> {
    targets
        .map(|(first, token, capacity)| Target { capacity, ..Target::new(first, token) })
        .to_vec()
}
