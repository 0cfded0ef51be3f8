//! Worlds from a file: a JSON array of objects with the fields below, most of which have a default.
//! Functions of time are lists per target of `[t, value]`, in steps: a value holds from its time
//! to the next one's, the first value also before its time. A list that is shorter than the
//! targets, or empty for one, leaves the rest as the field's absence would.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::{OfTime, Target, World};

/// A function of time, per target.
type Steps = Vec<Vec<(f64, f64)>>;

/// A world as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Its name.
    name: String,
    /// How many targets there are, if `ttft` lists more.
    k: Option<usize>,
    /// Routers.
    r: Option<usize>,
    /// Requests per second, over all routers.
    lam: Option<f64>,
    /// Seconds for which requests come.
    t: Option<f64>,
    /// Median seconds to the first token, per target.
    ttft: Vec<f64>,
    /// Median seconds per output token, per target.
    tpot: Vec<f64>,
    /// Requests under way from which on they slow each other down; null: never.
    #[serde(default)]
    cap: Vec<Option<f64>>,
    /// Standard deviation of the log of the time to the first token.
    sig: Option<f64>,
    /// Factor of all times, over time.
    #[serde(default)]
    mult: Steps,
    /// Part of requests that fail, over time.
    #[serde(default)]
    fail: Steps,
    /// Above 0: no answer ever, over time.
    #[serde(default)]
    hang: Steps,
    /// Requests per minute that are admitted; null: all.
    #[serde(default)]
    rpm: Vec<Option<f64>>,
    /// 0: not there yet, over time.
    #[serde(default)]
    avail: Steps,
    /// Part of answers that are slow beyond measure, and the factor.
    #[serde(default)]
    tail: Vec<(f64, f64)>,
    /// Seconds from one sweep of the fleet's statistics to the next.
    fp: Option<f64>,
    /// Seconds until routers are told of them.
    fd: Option<f64>,
    /// Seconds without a first token after which an attempt is given up.
    timeout: Option<f64>,
}

/// Reads worlds.
pub fn parse(text: &str) -> Result<Vec<World>> {
    let written: Vec<Written> =
        serde_json::from_str(text).context("the file is no array of worlds")?;
    ensure!(!written.is_empty(), "the file holds no world");
    let world = |one: Written| {
        let name = one.name.clone();
        compile(one).with_context(|| format!("world {name:?}"))
    };
    written.into_iter().map(world).collect()
}

fn compile(written: Written) -> Result<World> {
    let base = World::base(written.name);
    let count = written.k.unwrap_or(written.ttft.len());
    ensure!((1..=64).contains(&count), "k must be from 1 to 64, not {count}");
    for (field, len) in [("ttft", written.ttft.len()), ("tpot", written.tpot.len())] {
        ensure!(len >= count, "{field} has {len} entries for {count} targets");
    }
    let mut targets = Vec::new();
    for at in 0..count {
        let mut target = Target::new(
            above_zero("ttft", written.ttft[at])?,
            above_zero("tpot", written.tpot[at])?,
        );
        if let Some(cap) = written.cap.get(at).copied().flatten() {
            target.capacity = above_zero("cap", cap)?;
        }
        if let Some(rpm) = written.rpm.get(at).copied().flatten() {
            target.per_minute = above_zero("rpm", rpm)?;
        }
        if let Some((part, factor)) = written.tail.get(at).copied() {
            target.tail = (within("tail", part, 1.0)?, above_zero("tail", factor)?);
        }
        targets.push(target);
    }
    let routers = written.r.unwrap_or(base.routers);
    ensure!((1..=10_000).contains(&routers), "r must be from 1 to 10000, not {routers}");
    Ok(World {
        targets,
        routers,
        rate: above_zero("lam", written.lam.unwrap_or(base.rate))?,
        length: above_zero("t", written.t.unwrap_or(base.length))?,
        spread: within("sig", written.sig.unwrap_or(base.spread), 10.0)?,
        slowness: steps("mult", written.mult, 1.0, |factor| above_zero("mult", factor))?,
        failing: steps("fail", written.fail, 0.0, |part| within("fail", part, 1.0))?,
        hangs: steps("hang", written.hang, false, |hangs| Ok(hangs > 0.0))?,
        exists: steps("avail", written.avail, true, |there| Ok(there > 0.0))?,
        sweep: above_zero("fp", written.fp.unwrap_or(base.sweep))?,
        delay: within("fd", written.fd.unwrap_or(base.delay), f64::MAX)?,
        timeout: above_zero("timeout", written.timeout.unwrap_or(base.timeout))?,
        name: base.name,
    })
}

fn above_zero(field: &str, value: f64) -> Result<f64> {
    ensure!(value.is_finite() && value > 0.0, "{field} must be above 0, not {value}");
    Ok(value)
}

fn within(field: &str, value: f64, most: f64) -> Result<f64> {
    ensure!((0.0..=most).contains(&value), "{field} must be from 0 to {most}, not {value}");
    Ok(value)
}

fn steps<T: Copy + Send + Sync + 'static>(
    field: &str,
    lists: Steps,
    default: T,
    read: impl Fn(f64) -> Result<T>,
) -> Result<OfTime<T>> {
    let mut functions: Vec<Vec<(f64, T)>> = Vec::new();
    for list in lists {
        let mut steps: Vec<(f64, T)> = Vec::new();
        for (t, value) in list {
            if !t.is_finite() || steps.last().is_some_and(|(before, _)| *before >= t) {
                bail!("the times of {field} must rise: {t} does not");
            }
            steps.push((t, read(value)?));
        }
        functions.push(steps);
    }
    Ok(Box::new(move |target, t| {
        let Some(steps) = functions.get(target) else { return default };
        let behind = steps.partition_point(|(from, _)| *from <= t);
        steps.get(behind.saturating_sub(1)).map_or(default, |(_, value)| *value)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_time_goes_in_steps() {
        let text = r#"[{"name": "w", "ttft": [0.3, 0.5], "tpot": [0.01, 0.02],
            "mult": [[[0, 1], [200, 8], [320, 1]]], "avail": [[], [[0, 0], [100, 1]]],
            "cap": [null, 60], "rpm": [360]}]"#;
        let world = parse(text).unwrap().remove(0);
        let slow = [0.0, 199.9, 200.0, 320.0].map(|t| (world.slowness)(0, t) > 7.0);
        assert_eq!(slow, [false, false, true, false]);
        assert!((world.slowness)(1, 250.0) < 1.5, "a target without a list");
        assert_eq!([50.0, 100.0].map(|t| (world.exists)(1, t)), [false, true]);
        assert!((world.exists)(0, 0.0));
        assert!(world.targets[0].capacity.is_infinite());
        let limits = [world.targets[1].capacity, world.targets[0].per_minute];
        assert_eq!(limits.map(f64::to_bits), [60.0_f64, 360.0].map(f64::to_bits));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, want) in [
            ("[]", "no world"),
            (r#"[{"name": "w", "ttft": [], "tpot": []}]"#, "k must be"),
            (r#"[{"name": "w", "ttft": [0.3], "tpot": []}]"#, "tpot has 0 entries"),
            (r#"[{"name": "w", "ttft": [-1], "tpot": [1]}]"#, "ttft must be above 0"),
            (r#"[{"name": "w", "ttft": [1], "tpot": [1], "mult": [[[5, 1], [5, 2]]]}]"#, "rise"),
            (r#"[{"name": "w", "ttft": [1], "tpot": [1], "fast": true}]"#, "fast"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(want), "{error}");
        }
    }
}
