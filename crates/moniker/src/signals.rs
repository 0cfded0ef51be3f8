//! Being asked to end: SIGTERM from Kubernetes, SIGINT from a terminal.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled at the first signal. The second ends the process at once.
pub(crate) fn stop() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                tracing::info!("asked to end; what has begun may finish, a second signal ends it");
                asked.cancel();
            } else {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "whoever asks twice wants no destructor to wait"
                )]
                std::process::exit(1);
            }
        }
    });
    Ok(stop)
}
