//! What the link is doing and what it waits for, as a pure state machine.

use std::time::Duration;

use routing::Nanos;

use super::backoff::Backoff;

/// How long a controller may take to answer, and then to say HELLO.
const PATIENCE: Duration = Duration::from_secs(10);
/// Silence of so many intervals of heartbeats means that the link is dead.
const SILENT_INTERVALS: u32 = 3;
/// The intervals that are believed.
const INTERVALS: [Duration; 2] = [Duration::from_millis(50), Duration::from_mins(1)];

/// What the link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing, until then.
    Waiting { until: Nanos },
    /// It has asked, and gives up then.
    Asking { until: Nanos },
    /// It was answered and waits for HELLO, until then.
    Greeting { until: Nanos },
    /// Frames come. It is dead when nothing comes until then; every byte moves that.
    Live { until: Nanos, silence: Duration },
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The deadline has come.
    Timer,
    /// The controller answers with a stream.
    Answered,
    /// Its HELLO came.
    Hello { heartbeat: Duration, routers: u32 },
    /// So many routers share the controllers.
    Routers(u32),
    /// Bytes came.
    Heard,
    /// The controller ends, and asks to be asked again after this.
    Reconnect(Duration),
    /// A COMMIT was taken in.
    Committed,
    /// The stream is over, or never began.
    Lost,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Nothing,
    /// Ask for the stream.
    Ask,
    /// Give the stream up.
    GiveUp,
}

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    backoff: Backoff,
    /// Whether the last stream got as far as a COMMIT.
    live: bool,
}

impl Machine {
    /// It is to ask at once.
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { state: State::Waiting { until: Nanos::ZERO }, backoff, live: false }
    }

    /// When [`Event::Timer`] is due.
    pub(super) fn deadline(&self) -> Nanos {
        match self.state {
            State::Waiting { until }
            | State::Asking { until }
            | State::Greeting { until }
            | State::Live { until, .. } => until,
        }
    }

    /// Whether the last stream was of use.
    pub(super) fn was_live(&self) -> bool {
        self.live
    }

    /// One transition.
    pub(super) fn step(&mut self, now: Nanos, event: Event) -> Action {
        let (state, action) = match (self.state, event) {
            (State::Waiting { until }, Event::Timer) if now >= until => {
                self.live = false;
                (State::Asking { until: now + PATIENCE }, Action::Ask)
            }
            (state, Event::Timer) if now < self.deadline() => (state, Action::Nothing),
            (state, Event::Timer) => (state, Action::GiveUp),
            (State::Asking { .. }, Event::Answered) => {
                (State::Greeting { until: now + PATIENCE }, Action::Nothing)
            }
            (State::Greeting { .. }, Event::Hello { heartbeat, routers }) => {
                self.backoff.shared_by(routers);
                let heartbeat = heartbeat.clamp(INTERVALS[0], INTERVALS[1]);
                let silence = heartbeat * SILENT_INTERVALS;
                (State::Live { until: now + silence, silence }, Action::Nothing)
            }
            (State::Live { silence, .. }, Event::Heard | Event::Committed) => {
                if event == Event::Committed {
                    self.live = true;
                    self.backoff.reset();
                }
                (State::Live { until: now + silence, silence }, Action::Nothing)
            }
            (state, Event::Routers(routers)) => {
                self.backoff.shared_by(routers);
                (state, Action::Nothing)
            }
            (State::Live { .. }, Event::Reconnect(after)) => {
                (State::Waiting { until: now + after.min(INTERVALS[1]) }, Action::Nothing)
            }
            (State::Waiting { until }, _) => (State::Waiting { until }, Action::Nothing),
            (_, Event::Lost) => {
                (State::Waiting { until: now + self.backoff.next() }, Action::Nothing)
            }
            (state, _) => (state, Action::Nothing),
        };
        self.state = state;
        action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Event = Event::Hello { heartbeat: Duration::from_secs(5), routers: 1 };

    fn secs(n: u64) -> Nanos {
        Nanos::ZERO + Duration::from_secs(n)
    }

    fn live_at(now: Nanos) -> Machine {
        let mut machine = Machine::new(Backoff::new(1));
        assert_eq!(machine.step(now, Event::Timer), Action::Ask);
        machine.step(now, Event::Answered);
        machine.step(now, HELLO);
        machine
    }

    #[test]
    fn silence_of_three_intervals_is_death() {
        let mut machine = live_at(secs(100));
        assert_eq!(machine.deadline(), secs(115));
        assert_eq!(machine.step(secs(114), Event::Timer), Action::Nothing);
        machine.step(secs(114), Event::Heard);
        assert_eq!(machine.step(secs(115), Event::Timer), Action::Nothing);
        assert_eq!(machine.step(secs(129), Event::Timer), Action::GiveUp);
        machine.step(secs(129), Event::Lost);
        assert!(machine.deadline() <= secs(130));
        assert!(!machine.was_live(), "it never committed");
    }

    #[test]
    fn a_controller_that_ends_says_when_to_ask_again_within_reason() {
        for (said, waited) in [(Duration::from_secs(3), 3), (Duration::MAX, 60)] {
            let mut machine = live_at(secs(100));
            machine.step(secs(101), Event::Committed);
            machine.step(secs(102), Event::Reconnect(said));
            machine.step(secs(102), Event::Lost);
            assert_eq!(machine.deadline(), secs(102 + waited));
            assert!(machine.was_live());
        }
    }

    #[test]
    fn a_controller_that_does_not_answer_or_greet_is_given_up() {
        let mut machine = Machine::new(Backoff::new(1));
        machine.step(secs(1), Event::Timer);
        assert_eq!(machine.step(secs(10), Event::Timer), Action::Nothing);
        assert_eq!(machine.step(secs(11), Event::Timer), Action::GiveUp);
        let mut machine = Machine::new(Backoff::new(1));
        machine.step(secs(1), Event::Timer);
        machine.step(secs(2), Event::Answered);
        machine.step(secs(11), Event::Heard);
        assert_eq!(machine.step(secs(12), Event::Timer), Action::GiveUp, "noise is no greeting");
    }

    #[test]
    fn what_a_controller_says_of_its_interval_is_believed_within_reason() {
        for (said, deadline) in [(Duration::ZERO, 150), (Duration::MAX, 180_000)] {
            let mut machine = Machine::new(Backoff::new(1));
            machine.step(Nanos::ZERO, Event::Timer);
            machine.step(Nanos::ZERO, Event::Answered);
            machine.step(Nanos::ZERO, Event::Hello { heartbeat: said, routers: 0 });
            assert_eq!(machine.deadline(), Nanos::ZERO + Duration::from_millis(deadline));
        }
    }

    #[test]
    fn only_a_commit_ends_the_growth_of_waits() {
        let mut machine = Machine::new(Backoff::new(3));
        let mut longest = Duration::ZERO;
        for _ in 0..30 {
            let now = machine.deadline();
            assert_eq!(machine.step(now, Event::Timer), Action::Ask);
            machine.step(now, Event::Answered);
            machine.step(now, HELLO);
            machine.step(now, Event::Lost);
            longest = longest.max(machine.deadline().since(now));
        }
        assert!(longest > Duration::from_secs(5));
        let now = machine.deadline();
        machine.step(now, Event::Timer);
        machine.step(now, Event::Answered);
        machine.step(now, HELLO);
        machine.step(now, Event::Committed);
        machine.step(now, Event::Lost);
        assert!(machine.was_live());
        assert!(machine.deadline().since(now) <= Duration::from_millis(250));
    }
}
