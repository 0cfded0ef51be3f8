//! Admission: what a caller's key may have now. A request reserves what it is expected to use, once,
//! whatever is tried for it; what it really used takes the place of that when it ends.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use routing::{
    fleet::Dimension,
    quota::{Estimate, Full},
};

use crate::{
    access::Caller,
    decide,
    errors::{RATE_LIMIT, Refusal},
    facts::Asked,
    http::Shape,
    live::LiveAlias,
    pipeline::{Traffic, random},
    record::{KeyStanding, Record},
    respond::Reason,
};

/// Admits a request of this alias, or says why its key may not have it now.
pub(crate) fn admit(
    traffic: &Traffic,
    caller: &Caller,
    alias: &Arc<LiveAlias>,
    asked: &Asked,
    shape: Shape,
    record: &mut Record,
) -> Result<(), Refusal> {
    let (Some(key), Some(cell)) = (caller.key(), record.caller.clone()) else {
        return Ok(());
    };
    let Some(limits) = cell.limits(&key.compiled, &traffic.fleet, random) else { return Ok(()) };
    let expected = expected(alias, asked);
    let held = cell.reserve(&limits, expected);
    let full = held.as_ref().err().map(|full| full.dimension);
    record.key_limits = Some(KeyStanding { limits, shape, full });
    match held {
        Ok(hold) => {
            record.key_hold = Some(hold);
            Ok(())
        }
        Err(full) => {
            record.reason = Reason::KeyLimit;
            Err(at_limit(&cell.label, &full))
        }
    }
}

/// What a request is expected to use: its prompt, and as many tokens of answer as the alias's
/// answers have, at most what its caller allows.
fn expected(alias: &LiveAlias, asked: &Asked) -> Estimate {
    let known = asked.estimate(alias.stats.bytes_per_token());
    let output = decide::output(&alias.stats.lock(), asked.read.output_cap());
    Estimate { prompt: known.prompt_tokens, output: output.saturating_add(known.audio_out) }
}

/// 429: the key is at a limit.
fn at_limit(key: &str, full: &Full) -> Refusal {
    let what = match full.dimension {
        Dimension::Requests => "limits.requestsPerMinute",
        Dimension::InFlight => "limits.maxInFlight",
        _ => "limits.tokensPerMinute",
    };
    let message = format!(
        "The access key {key} is at its limit ({what}): ask again after Retry-After. Limits hold \
         for all routers together."
    );
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT, "rate_limit_exceeded", message)
        .retry_after(full.retry_after.max(Duration::from_millis(1)))
}
