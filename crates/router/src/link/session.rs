//! One stream, from the request to its end.

use std::{io, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header};
use routing::fleet::FleetView;
use telemetry::metrics::SnapshotFacts;
use tokio::time::sleep_until;
use wire::{DecodeError, Decoder, Frame};

use super::{
    FleetNews, Link,
    dial::{CannotDial, Dialed},
    inflate::Inflate,
    instant,
    machine::{Action, Event, Machine},
};
use crate::{
    clock::now,
    store::{Effects, Store, Void},
};

/// How much is read of an answer that is no stream.
const MAX_REFUSAL: usize = 1024;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    CannotDial(#[from] CannotDial),
    #[error("the controller cannot be reached: {}", causes(.0))]
    Unreachable(#[source] reqwest::Error),
    #[error("the controller answered {0}: {1}")]
    Refused(StatusCode, String),
    #[error("the stream broke off: {0}")]
    Broken(#[source] reqwest::Error),
    #[error("the controller ended the stream")]
    Closed,
    #[error("the controller is ending, and asks to be asked again")]
    Reconnect,
    #[error("the controller has been silent for too long")]
    Silent,
    #[error("what came is not compressed as it says: {0}")]
    Encoding(#[from] io::Error),
    #[error("what came is no watch stream: {0}")]
    Malformed(#[from] DecodeError),
    #[error("the transmission is void: {0}")]
    Void(#[from] Void),
    #[error("what was applied was lost with its task: {0}")]
    Task(#[from] tokio::task::JoinError),
    #[error("asking again for what was doubted")]
    AskAgain,
}

/// One stream at work.
pub(super) struct Session<'a> {
    link: &'a Link,
    machine: &'a mut Machine,
    decoder: Decoder,
    /// Whether the controller said HELLO.
    greeted: bool,
    /// Whether all that came took effect.
    current: bool,
}

impl<'a> Session<'a> {
    /// Asks for a stream and takes it in until it ends.
    pub(super) async fn run(link: &'a Link, machine: &'a mut Machine, dialed: Dialed) -> Ended {
        let decoder = Decoder::default();
        let mut session = Self { link, machine, decoder, greeted: false, current: false };
        match session.stream(dialed).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn stream(&mut self, dialed: Dialed) -> Result<std::convert::Infallible, Ended> {
        let held = self.link.store.lock().connect();
        let body = serde_json::to_vec(&held).map_err(io::Error::from)?;
        let mut request = dialed.client.post(self.link.url.clone());
        if let Some(authorization) = dialed.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("zstd"))
            .body(body);
        let response = self.before_deadline(request.send()).await?;
        let mut response = response.map_err(Ended::Unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        self.machine.step(now(), Event::Answered);
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        let encoding = encoding.map(|value| value.to_str().unwrap_or("?").to_owned());
        let mut inflate = Inflate::new(encoding.as_deref())?;
        loop {
            let chunk = self.before_deadline(response.chunk()).await?.map_err(Ended::Broken)?;
            let chunk = chunk.ok_or(Ended::Closed)?;
            self.machine.step(now(), Event::Heard);
            let mut bytes = &chunk[..];
            while let Some(piece) = inflate.piece(&mut bytes)? {
                self.decoder.push(piece);
                while let Some(frame) = self.decoder.next_frame()? {
                    self.frame(frame).await?;
                }
            }
        }
    }

    /// What the future gives, unless the machine gives up before, or it is time to ask again.
    async fn before_deadline<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Ended> {
        tokio::pin!(future);
        loop {
            let ask_again = self.link.store.lock().ask_again_at();
            let deadline = self.machine.deadline();
            let wake = ask_again.map_or(deadline, |at| at.min(deadline));
            tokio::select! {
                biased;
                done = &mut future => return Ok(done),
                () = sleep_until(instant(wake)) => {
                    if self.machine.step(now(), Event::Timer) == Action::GiveUp {
                        return Err(Ended::Silent);
                    }
                    if ask_again.is_some_and(|at| at <= now()) {
                        return Err(Ended::AskAgain);
                    }
                }
            }
        }
    }

    /// What an answer that is no stream says.
    async fn refusal(&mut self, mut response: reqwest::Response) -> Ended {
        let status = response.status();
        let mut text = Vec::new();
        while text.len() < MAX_REFUSAL
            && let Ok(Ok(Some(chunk))) = self.before_deadline(response.chunk()).await
        {
            text.extend_from_slice(&chunk);
        }
        text.truncate(MAX_REFUSAL);
        let json = serde_json::from_slice::<serde_json::Value>(&text).unwrap_or_default();
        let message = match json["error"]["message"].as_str() {
            Some(message) => message.to_owned(),
            None => String::from_utf8_lossy(&text).trim().escape_debug().to_string(),
        };
        Ended::Refused(status, message)
    }

    async fn frame(&mut self, frame: Frame) -> Result<(), Ended> {
        let frame = match frame {
            Frame::Fleet(view) if self.greeted => {
                self.fleet(view);
                return Ok(());
            }
            other => other,
        };
        match &frame {
            Frame::Commit(_) => return self.commit(frame).await,
            Frame::Heartbeat(heartbeat) => {
                if let Some(routers) = heartbeat.routers {
                    self.routers(routers);
                }
                if self.current {
                    self.link.metrics.snapshot_confirmed();
                }
            }
            Frame::Reconnect(reconnect) => {
                let after = Duration::from_millis(reconnect.after_millis);
                self.machine.step(now(), Event::Reconnect(after));
                return Err(Ended::Reconnect);
            }
            // It tells nothing of resources.
            Frame::Unknown(_) => {}
            _ => self.current = false,
        }
        let hello = match &frame {
            Frame::Hello(hello) => Some(Event::Hello {
                heartbeat: Duration::from_millis(hello.heartbeat_millis),
                routers: hello.routers,
            }),
            _ => None,
        };
        self.link.store.lock().step(frame, now())?;
        if let Some(hello) = hello {
            self.greeted = true;
            self.machine.step(now(), hello);
            if let Event::Hello { routers, .. } = hello {
                (self.link.fleet)(FleetNews::Routers(routers.max(1)), now());
            }
        }
        Ok(())
    }

    fn routers(&mut self, routers: u32) {
        self.machine.step(now(), Event::Routers(routers));
        (self.link.fleet)(FleetNews::Routers(routers.max(1)), now());
    }

    /// What the fleet saw takes effect beside the snapshots.
    fn fleet(&mut self, mut view: FleetView) {
        view.routers = view.routers.max(1);
        self.machine.step(now(), Event::Routers(view.routers));
        self.link.metrics.fleet_told(view.routers);
        (self.link.fleet)(FleetNews::View(view), now());
    }

    /// Takes in a COMMIT and hands on what took effect, where it may take its time. What `/config`
    /// says is what requests use, so that the store is locked until then.
    async fn commit(&mut self, commit: Frame) -> Result<(), Ended> {
        let (store, apply) = (Arc::clone(&self.link.store), Arc::clone(&self.link.apply));
        let work = move || -> Result<(Effects, SnapshotFacts), Void> {
            let mut store = store.lock();
            let effects = store.step(commit, now())?;
            if let Some(applied) = &effects.applied {
                apply(applied);
            }
            store.set_serving();
            let facts = facts(&store);
            Ok((effects, facts))
        };
        let (effects, facts) = tokio::task::spawn_blocking(work).await??;
        let metrics = &self.link.metrics;
        metrics.refusals.add(effects.refused);
        metrics.rejections.add(effects.rejected);
        if let Some(applied) = &effects.applied {
            tracing::info!(
                revision = facts.revision,
                aliases = facts.aliases,
                targets = facts.targets,
                changed_aliases = applied.changed.aliases,
                changed_targets = applied.changed.targets,
                changed_credentials = applied.changed.credentials,
                changed_holds = applied.changed.holds,
                "snapshot applied"
            );
            metrics.snapshot_applied(facts);
        } else {
            metrics.snapshot_confirmed();
        }
        metrics.set_link_connected(true);
        self.current = true;
        self.machine.step(now(), Event::Committed);
        Ok(())
    }
}

/// An error with what led to it: of a TLS failure the client itself says nothing.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// What the metrics tell of what is served from.
pub(crate) fn facts(store: &Store) -> SnapshotFacts {
    let snapshot = store.snapshot();
    SnapshotFacts {
        revision: snapshot.revision.to_string(),
        aliases: snapshot.aliases.len(),
        targets: snapshot.targets.len(),
        held: store.held_resources(),
    }
}
