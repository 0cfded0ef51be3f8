//! Events: the transitions of conditions that matter, as `kubectl describe` shows them. They are told
//! once a status stands, and so by the holder of the Lease alone.
//!
//! An Event tells people something and nothing depends on it: what comes faster than the bounds here
//! allow, or is refused, is counted and forgotten. The same news of the same object within a while is
//! one Event that counts.

mod pace;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::condition::MAX_MESSAGE;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use telemetry::{ControllerMetrics, EventEnd};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::lease::Leadership;
use crate::status::{Severity, Subject, Transition};
use crate::watch::{Backoff, said};
use pace::{Pace, Paces, Rate};

/// Who tells, whichever replica.
const REPORTER: &str = "moniker.dev/controller";
/// How many may wait to be told.
const QUEUE: usize = 1024;
/// Of one object.
const OF_ONE: Rate = Rate { burst: 10, period: Duration::from_secs(30) };
/// Of all.
const OF_ALL: Rate = Rate { burst: 100, period: Duration::from_millis(100) };
/// For how long the same news are counted on one Event.
const SERIES: Duration = Duration::from_secs(10 * 60);
/// How many Events are remembered for that.
const REMEMBERED: usize = 1024;
/// How long an answer may take, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(10);
const TRIES: usize = 3;
/// The longest name of a replica that an Event may carry, in bytes.
const MAX_INSTANCE: usize = 128;
/// The longest name of an object that stays whole in the name of an Event.
const MAX_NAME: usize = 220;

/// News of one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct News {
    pub(crate) subject: Subject,
    pub(crate) uid: String,
    pub(crate) transition: Transition,
}

/// Takes news, and never waits.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<News>,
    metrics: Arc<ControllerMetrics>,
}

impl Recorder {
    /// A recorder, and who writes for it.
    pub(crate) fn new(
        client: Client,
        instance: &str,
        leadership: Leadership,
        metrics: Arc<ControllerMetrics>,
    ) -> (Self, Teller) {
        let (queue, news) = mpsc::channel(QUEUE);
        let instance = instance[..instance.floor_char_boundary(MAX_INSTANCE)].to_owned();
        let teller = Teller {
            client,
            instance,
            leadership,
            metrics: metrics.clone(),
            news,
            of_one: Paces::new(OF_ONE),
            of_all: Pace::new(Instant::now()),
            series: HashMap::new(),
            refused: false,
        };
        (Self { queue, metrics }, teller)
    }

    /// Has it told. When very much is new at once, as on the day of an installation, what is well gives
    /// way to what is not.
    pub(crate) fn record(&self, news: News) {
        let room = match news.transition.severity {
            Severity::Normal => self.queue.capacity() > QUEUE / 2,
            Severity::Warning => true,
        };
        if !room || self.queue.try_send(news).is_err() {
            self.metrics.event(EventEnd::Dropped);
        }
    }
}

/// An Event that was written.
#[derive(Debug)]
struct Told {
    name: String,
    count: i32,
    last: Instant,
}

/// Writes Events, one after the other.
pub(crate) struct Teller {
    client: Client,
    instance: String,
    leadership: Leadership,
    metrics: Arc<ControllerMetrics>,
    news: mpsc::Receiver<News>,
    of_one: Paces<String>,
    of_all: Pace,
    series: HashMap<News, Told>,
    /// A refusal was logged.
    refused: bool,
}

impl Teller {
    /// Tells until `stop`, or until there is nobody left who records.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let work = async {
            while let Some(news) = self.news.recv().await {
                let end = self.tell(news).await;
                self.metrics.event(end);
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    async fn tell(&mut self, news: News) -> EventEnd {
        if !self.of_one.take(news.uid.clone(), Instant::now()) {
            return EventEnd::Dropped;
        }
        while let Err(wait) = self.of_all.take(OF_ALL, Instant::now()) {
            sleep(wait).await;
        }
        let mut backoff = Backoff::default();
        for _ in 0..TRIES {
            // Another replica may write by now.
            if !self.leadership.leads() {
                return EventEnd::Dropped;
            }
            match timeout(PATIENCE, self.write(&news)).await {
                Ok(Ok(())) => return EventEnd::Written,
                Ok(Err(error)) if lasts(&error) => {
                    self.refused(&news, &error);
                    return EventEnd::Failed;
                }
                Ok(Err(error)) => sleep(backoff.after(&error)).await,
                Err(_elapsed) => sleep(backoff.next()).await,
            }
        }
        EventEnd::Failed
    }

    async fn write(&mut self, news: &News) -> Result<(), kube::Error> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &news.subject.id.namespace);
        let now = Instant::now();
        self.series.retain(|_, told| now.duration_since(told.last) < SERIES);
        if let Some(told) = self.series.get_mut(news) {
            let count = told.count.saturating_add(1);
            let series = json!({"series": {
                "count": count, "lastObservedTime": MicroTime(Timestamp::now()),
            }});
            let patched =
                events.patch(&told.name, &PatchParams::default(), &Patch::Merge(&series)).await;
            match patched {
                Ok(_) => {
                    (told.count, told.last) = (count, now);
                    return Ok(());
                }
                // Events do not live for ever.
                Err(kube::Error::Api(status)) if status.is_not_found() => {
                    self.series.remove(news);
                }
                Err(error) => return Err(error),
            }
        }
        let event = event(news, &self.instance, Timestamp::now());
        let name = event.metadata.name.clone().unwrap_or_default();
        events.create(&PostParams::default(), &event).await?;
        if self.series.len() < REMEMBERED {
            self.series.insert(news.clone(), Told { name, count: 1, last: now });
        }
        Ok(())
    }

    fn refused(&mut self, news: &News, error: &kube::Error) {
        let (id, why) = (&news.subject.id, said(error));
        let of = news.subject.kind.plural();
        if std::mem::replace(&mut self.refused, true) {
            debug!("an Event of {of} {id} is refused: {why}");
        } else {
            warn!("an Event of {of} {id} is refused, and others may be: {why}");
        }
    }
}

/// Whether it is of no use to try again: all that the API server refuses but a name that is taken,
/// for which another one is made, and too many requests.
fn lasts(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if (400..500).contains(&status.code) && !matches!(status.code, 409 | 429))
}

fn event(news: &News, instance: &str, now: Timestamp) -> Event {
    let News { subject, uid, transition } = news;
    let (api_version, kind) = subject.gvk();
    let mut note = transition.note.clone();
    note.truncate(note.floor_char_boundary(MAX_MESSAGE));
    let severity = match transition.severity {
        Severity::Normal => "Normal",
        Severity::Warning => "Warning",
    };
    let object = &*subject.id.name;
    // An object's name ends where a part of an Event's may, and what is cut off may not be missed.
    let object = object[..object.floor_char_boundary(MAX_NAME)].trim_end_matches(['-', '.']);
    Event {
        metadata: ObjectMeta {
            namespace: Some(subject.id.namespace.to_string()),
            name: Some(format!("{object}.{:x}", now.as_nanosecond())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(REPORTER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        action: Some(transition.condition.to_owned()),
        reason: Some(transition.reason.clone()),
        type_: Some(severity.to_owned()),
        note: Some(note),
        regarding: Some(ObjectReference {
            api_version: Some(api_version),
            kind: Some(kind),
            namespace: Some(subject.id.namespace.to_string()),
            name: Some(subject.id.name.to_string()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use routing::ObjectId;

    use super::*;

    #[test]
    fn an_event_holds_to_the_bounds_of_the_api_server() {
        let transition = Transition {
            severity: Severity::Warning,
            condition: "Ready",
            reason: "SecretNotFound".to_owned(),
            note: "é".repeat(1000),
        };
        let name = format!("{}-{}", "n".repeat(219), "m".repeat(30));
        let subject = Subject::alias(ObjectId::new("shop", &*name));
        let news = News { subject, uid: "u".to_owned(), transition };
        let event = event(&news, "replica-1", Timestamp::from_second(1_700_000_000).unwrap());
        assert_eq!(event.note.as_deref().map(str::len), Some(1024));
        let name = event.metadata.name.unwrap();
        assert!(name.len() <= 253 && name.starts_with("nnn") && !name.contains("-."), "{name}");
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.kind.as_deref(), Some("ModelAlias"));
        assert_eq!(regarding.namespace, event.metadata.namespace);
    }

    #[test]
    fn what_is_well_leaves_room_for_what_is_not() {
        let (queue, mut told) = mpsc::channel(QUEUE);
        let recorder = Recorder { queue, metrics: Arc::default() };
        let record = |severity| {
            let (condition, reason, note) = ("Ready", String::new(), String::new());
            let transition = Transition { severity, condition, reason, note };
            let subject = Subject::alias(ObjectId::new("shop", "chat"));
            recorder.record(News { subject, uid: "u".to_owned(), transition });
        };
        (0..QUEUE).for_each(|_| record(Severity::Normal));
        (0..QUEUE).for_each(|_| record(Severity::Warning));
        let mut severities = Vec::new();
        while let Ok(news) = told.try_recv() {
            severities.push(news.transition.severity);
        }
        assert_eq!(severities.len(), QUEUE);
        let well = severities.iter().filter(|severity| **severity == Severity::Normal).count();
        assert_eq!(well, QUEUE / 2);
    }

    #[test]
    fn what_is_refused_for_good_is_not_tried_again() {
        let of = |code| kube::Error::Api(Status::failure("no", "No").with_code(code).boxed());
        assert!([400, 403, 404, 422].into_iter().all(|code| lasts(&of(code))));
        assert!([409, 429, 500, 503].into_iter().all(|code| !lasts(&of(code))));
    }
}
