//! What somebody gives for a time: fetched by one task, renewed ahead of its end, kept while the giver
//! fails. Whoever needs it takes what is there and waits only where nothing is.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use routing::outcome::Fault;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Unissued;

/// How long before its end a thing is no longer used: a request takes time to arrive.
const MARGIN: Duration = Duration::from_secs(10);
/// How long before its end it is renewed, where it lasts long enough.
const AHEAD: Duration = Duration::from_secs(300);
/// The first wait after a failure, doubled with each that follows, and the longest.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// What was given, and until when.
pub(crate) struct Issued<T> {
    /// It.
    pub(crate) value: T,
    /// Its end.
    pub(crate) expires: Instant,
}

impl<T> Issued<T> {
    fn is_good(&self, now: Instant) -> bool {
        now + MARGIN < self.expires
    }
}

/// What a refusal says of what was given before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is of a new key, and what an older one was given must not hide that: it ends.
    Ends,
    /// Nothing: it goes on to its end.
    Waits,
}

/// One attempt at getting it.
pub(crate) type Asking<T> = Pin<Box<dyn Future<Output = Result<Issued<T>, Unissued>> + Send>>;

/// A thing that is renewed.
pub(crate) struct Renewed<T> {
    issued: ArcSwapOption<Issued<T>>,
    told: watch::Sender<Told>,
    refusal: Refusal,
    /// Ends the task with this: what it fetches by is wiped then.
    _alive: DropGuard,
}

#[derive(Clone, Debug)]
enum Told {
    Asking,
    Given,
    Failed(Unissued),
}

impl<T: Send + Sync + 'static> Renewed<T> {
    /// Begins to fetch, in a task of this runtime. `who` is for logs; `last` serves until something
    /// new is there or is refused.
    pub(crate) fn start(
        who: String,
        last: Option<Arc<Issued<T>>>,
        refusal: Refusal,
        ask: impl Fn() -> Asking<T> + Send + 'static,
    ) -> Arc<Self> {
        let alive = CancellationToken::new();
        let (told, _) = watch::channel(Told::Asking);
        let this = Arc::new(Self {
            issued: ArcSwapOption::new(last),
            told,
            refusal,
            _alive: alive.clone().drop_guard(),
        });
        let cell = Arc::downgrade(&this);
        tokio::spawn(async move {
            let work = async move {
                let mut failures = 0;
                loop {
                    let asked = ask().await;
                    let Some(cell) = cell.upgrade() else { return };
                    let wait = cell.take(asked, &mut failures, &who);
                    drop(cell);
                    tokio::time::sleep(wait).await;
                }
            };
            tokio::select! {
                () = work => {}
                () = alive.cancelled() => {}
            }
        });
        this
    }

    /// Takes in what an attempt came to, and says how long to wait for the next.
    fn take(&self, asked: Result<Issued<T>, Unissued>, failures: &mut u32, who: &str) -> Duration {
        match asked {
            Ok(issued) => {
                if *failures > 0 {
                    tracing::info!(credential = who, "a credential is given again");
                }
                *failures = 0;
                let wait = until_renewal(issued.expires.saturating_duration_since(Instant::now()));
                self.issued.store(Some(Arc::new(issued)));
                self.told.send_replace(Told::Given);
                wait
            }
            Err(why) => {
                if *failures == 0 {
                    tracing::warn!(credential = who, error = %why, "no credential is given");
                }
                *failures += 1;
                if why.fault == Fault::Auth && self.refusal == Refusal::Ends {
                    self.issued.store(None);
                }
                self.told.send_replace(Told::Failed(why));
                backoff(*failures)
            }
        }
    }

    /// What is there and good.
    pub(crate) fn current(&self) -> Option<Arc<Issued<T>>> {
        self.issued.load_full().filter(|issued| issued.is_good(Instant::now()))
    }

    /// What is there, or what is being fetched; while fetching fails, the reason.
    pub(crate) async fn get(&self) -> Result<Arc<Issued<T>>, Unissued> {
        if let Some(issued) = self.current() {
            return Ok(issued);
        }
        let mut told = self.told.subscribe();
        loop {
            let now = told.borrow_and_update().clone();
            if let Some(issued) = self.current() {
                return Ok(issued);
            }
            if let Told::Failed(why) = now {
                return Err(why);
            }
            if told.changed().await.is_err() {
                return Err(Unissued::new(Fault::Connect, "the target is gone"));
            }
        }
    }
}

/// When a thing that lasts so long is renewed: well ahead of its end.
fn until_renewal(lasts: Duration) -> Duration {
    // One that is at its end already must not be asked for without a pause.
    lasts.saturating_sub(AHEAD.min(lasts / 5)).max(BACKOFF[0])
}

/// The wait after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    BACKOFF[1].min(BACKOFF[0] * 2_u32.saturating_pow(failures.saturating_sub(1).min(16)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    type Answer = Result<(u32, Duration), Fault>;

    /// A giver that is told each answer, and counts what it was asked.
    struct Giver {
        answers: mpsc::UnboundedSender<Answer>,
        asked: Arc<AtomicU32>,
    }

    impl Giver {
        fn start(last: Option<Arc<Issued<u32>>>) -> (Self, Arc<Renewed<u32>>) {
            Self::start_with(last, Refusal::Ends)
        }

        fn start_with(
            last: Option<Arc<Issued<u32>>>,
            refusal: Refusal,
        ) -> (Self, Arc<Renewed<u32>>) {
            let (answers, given) = mpsc::unbounded_channel::<Answer>();
            let given = Arc::new(tokio::sync::Mutex::new(given));
            let asked = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&asked);
            let cell = Renewed::start("test".to_owned(), last, refusal, move || {
                let (given, count) = (Arc::clone(&given), Arc::clone(&count));
                Box::pin(async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    match given.lock().await.recv().await {
                        Some(Ok((value, lasts))) => {
                            Ok(Issued { value, expires: Instant::now() + lasts })
                        }
                        Some(Err(fault)) => Err(Unissued::new(fault, "no")),
                        None => std::future::pending().await,
                    }
                })
            });
            (Self { answers, asked }, cell)
        }

        fn asked(&self) -> u32 {
            self.asked.load(Ordering::SeqCst)
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_ahead_of_its_end_and_nobody_waits() {
        let (giver, cell) = Giver::start(None);
        giver.answers.send(Ok((1, HOUR))).unwrap();
        assert_eq!(cell.get().await.unwrap().value, 1);
        giver.answers.send(Ok((2, HOUR))).unwrap();
        tokio::time::sleep(until_renewal(HOUR).saturating_sub(SECOND)).await;
        assert_eq!((cell.get().await.unwrap().value, giver.asked()), (1, 1));
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!((cell.get().await.unwrap().value, giver.asked()), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_wait_share_one_fetch() {
        let (giver, cell) = Giver::start(None);
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let cell = Arc::clone(&cell);
                tokio::spawn(async move { cell.get().await.unwrap().value })
            })
            .collect();
        tokio::task::yield_now().await;
        giver.answers.send(Ok((7, HOUR))).unwrap();
        for task in waiting {
            assert_eq!(task.await.unwrap(), 7);
        }
        assert_eq!(giver.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_good_serves_while_its_giver_fails() {
        let (giver, cell) = Giver::start(None);
        giver.answers.send(Ok((1, HOUR))).unwrap();
        assert_eq!(cell.get().await.unwrap().value, 1);
        for _ in 0..100 {
            giver.answers.send(Err(Fault::Connect)).unwrap();
        }
        tokio::time::sleep(HOUR.saturating_sub(MARGIN + SECOND)).await;
        assert_eq!(cell.get().await.unwrap().value, 1);
        assert!(giver.asked() > 5 && giver.asked() < 30, "{}", giver.asked());
        // Past its end: the reason, at once.
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(cell.get().await.err().unwrap().fault, Fault::Connect);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_rotation_the_last_one_serves_until_there_is_a_new_one() {
        let last = Arc::new(Issued { value: 1, expires: Instant::now() + HOUR });
        let (giver, cell) = Giver::start(Some(Arc::clone(&last)));
        assert_eq!(cell.get().await.unwrap().value, 1);
        giver.answers.send(Ok((2, HOUR))).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(cell.get().await.unwrap().value, 2);
        // Of a key that is refused nothing older is left.
        let (giver, cell) = Giver::start(Some(last));
        giver.answers.send(Err(Fault::Auth)).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(cell.get().await.err().unwrap().fault, Fault::Auth);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_nothing_new_ends_nothing() {
        let (giver, cell) = Giver::start_with(None, Refusal::Waits);
        giver.answers.send(Ok((1, HOUR))).unwrap();
        assert_eq!(cell.get().await.unwrap().value, 1);
        for _ in 0..100 {
            giver.answers.send(Err(Fault::Auth)).unwrap();
        }
        tokio::time::sleep(HOUR.saturating_sub(MARGIN + SECOND)).await;
        assert_eq!(cell.get().await.unwrap().value, 1);
        assert!(giver.asked() > 2);
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(cell.get().await.err().unwrap().fault, Fault::Auth);
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_ends_with_what_it_is_for() {
        let held = Arc::new(());
        let seen = Arc::downgrade(&held);
        let cell = Renewed::<u32>::start("test".to_owned(), None, Refusal::Ends, move || {
            let held = Arc::clone(&held);
            Box::pin(async move {
                std::future::pending::<()>().await;
                drop(held);
                Err(Unissued::new(Fault::Connect, "never"))
            })
        });
        tokio::task::yield_now().await;
        assert!(seen.upgrade().is_some());
        drop(cell);
        tokio::task::yield_now().await;
        assert!(seen.upgrade().is_none());
    }

    #[test]
    fn waits_grow_to_a_bound() {
        let waits: Vec<_> = [1, 2, 3, 5, 6, 100].map(|n| backoff(n).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 16, 30, 30]);
        assert_eq!(until_renewal(HOUR).as_secs(), 3300);
        assert_eq!(until_renewal(Duration::from_secs(100)), Duration::from_secs(80));
        assert_eq!(until_renewal(Duration::ZERO), BACKOFF[0]);
    }
}
