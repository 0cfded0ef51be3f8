//! Parts one after the other. Some providers write two calls at once, and some protocols allow only
//! one open part: the first stays open, the others are held back and follow in order when it ends.

use std::collections::VecDeque;

use super::event::{Delta, Event};
use crate::{failure::Failure, stream::MAX_EVENT};

/// Makes events of which at most one part is open at a time. Only the first choice passes.
#[derive(Clone, Debug, Default)]
pub struct Sequencer {
    open: Option<u32>,
    /// Parts that wait: their number, their events, whether they are whole.
    held: VecDeque<(u32, Vec<Event>, bool)>,
    bytes: usize,
}

/// More is held back than may be.
#[derive(Debug)]
struct TooMuch;

impl Sequencer {
    /// Takes an event and gives what may be written now. Where more is held back than may be, that
    /// ends in an error.
    pub fn arrange(&mut self, event: Event) -> Vec<Event> {
        let mut ready = Vec::new();
        if self.push(event, &mut ready).is_err() {
            let failure = Failure::invalid("The provider interleaves more than 16 MiB of calls.");
            ready.push(Event::Error(Box::new(failure)));
        }
        ready
    }

    fn push(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), TooMuch> {
        match event {
            Event::Open { choice: 0, part, .. } => {
                if self.open.is_none() {
                    self.open = Some(part);
                    out.push(event);
                } else {
                    self.held.push_back((part, vec![event], false));
                }
            }
            Event::Delta { choice: 0, part, ref delta } => {
                if self.open == Some(part) {
                    out.push(event);
                } else if let Some(held) = self.held.iter_mut().find(|(p, ..)| *p == part) {
                    if let Delta::Text(text) | Delta::Data(text) = delta {
                        self.bytes += text.len();
                    }
                    held.1.push(event);
                    if self.bytes > MAX_EVENT {
                        return Err(TooMuch);
                    }
                }
            }
            Event::Close { choice: 0, part } => {
                if self.open == Some(part) {
                    out.push(event);
                    self.open = None;
                    self.release(out);
                } else if let Some(held) = self.held.iter_mut().find(|(p, ..)| *p == part) {
                    held.1.push(event);
                    held.2 = true;
                }
            }
            Event::Open { .. } | Event::Delta { .. } | Event::Close { .. } => {}
            Event::Finish { choice, .. } => {
                if choice == 0 {
                    out.push(event);
                }
            }
            other => out.push(other),
        }
        Ok(())
    }

    /// Whether a part is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn release(&mut self, out: &mut Vec<Event>) {
        while self.open.is_none() {
            let Some((part, events, whole)) = self.held.pop_front() else { break };
            out.extend(events);
            if !whole {
                self.open = Some(part);
            }
        }
        if self.held.is_empty() {
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::event::Kind, *};

    #[test]
    fn the_first_stays_open_and_the_others_follow_whole() {
        let open = |part| Event::Open { choice: 0, part, kind: Kind::Text };
        let delta =
            |part, text: &str| Event::Delta { choice: 0, part, delta: Delta::Text(text.into()) };
        let close = |part| Event::Close { choice: 0, part };
        let mut sequencer = Sequencer::default();
        let mut out = Vec::new();
        for event in [
            open(0),
            delta(0, "a"),
            open(1),
            delta(1, "x"),
            open(2),
            close(2),
            delta(0, "b"),
            close(0),
            delta(1, "y"),
            close(1),
        ] {
            sequencer.push(event, &mut out).unwrap();
        }
        let want = [
            open(0),
            delta(0, "a"),
            delta(0, "b"),
            close(0),
            open(1),
            delta(1, "x"),
            delta(1, "y"),
            close(1),
            open(2),
            close(2),
        ];
        assert_eq!(out, want);
        assert!(!sequencer.is_open());
    }
}
