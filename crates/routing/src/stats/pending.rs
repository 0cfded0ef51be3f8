//! Requests under way at one model. All are counted; the oldest 64 are looked at one by one, since
//! what is overdue is old. A slot that is free is given to the next that is admitted, under a
//! generation of its own, so that an end that comes twice or late cannot hit another's.

use super::prompt_factor;
use crate::time::Nanos;

/// How many are looked at one by one.
const SLOTS: usize = 64;
/// How many times its prediction a request may take before it counts as overdue.
const OVERDUE: f64 = 2.5;
/// So many times is overdue even of one alone.
const OVERDUE_ALONE: f64 = 6.0;
/// The most that overdue requests multiply a prediction by.
const OVERDUE_MOST: f64 = 30.0;

/// One request under way: what it was admitted with. Kept by whoever serves it, to tell its end.
#[derive(Clone, Copy, Debug)]
pub struct PendingId {
    slot: Option<u8>,
    generation: u32,
    /// When it was admitted.
    pub(super) since: Nanos,
    /// The factor of its prompt's length.
    pub(super) prompt: f64,
    /// Whether it streams.
    pub(super) stream: bool,
    /// How many were under way then, this one included.
    pub(super) among: u32,
    /// Seconds to the first token, once that came.
    pub(super) first_token: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    generation: u32,
    since: Nanos,
    prompt: f64,
    /// Streams, and without its first token yet.
    awaits_first_token: bool,
}

/// The requests under way at one model.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    count: u32,
    generation: u32,
    slots: Vec<Option<Slot>>,
}

impl Pending {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn admit(&mut self, now: Nanos, prompt_tokens: u64, stream: bool) -> PendingId {
        self.count = self.count.saturating_add(1);
        self.generation = self.generation.wrapping_add(1);
        let prompt = prompt_factor(prompt_tokens);
        let entry =
            Slot { generation: self.generation, since: now, prompt, awaits_first_token: stream };
        let slot = match self.slots.iter().position(Option::is_none) {
            Some(free) => {
                self.slots[free] = Some(entry);
                Some(free)
            }
            None if self.slots.len() < SLOTS => {
                self.slots.push(Some(entry));
                Some(self.slots.len() - 1)
            }
            None => None,
        };
        PendingId {
            slot: slot.and_then(|slot| u8::try_from(slot).ok()),
            generation: self.generation,
            since: now,
            prompt,
            stream,
            among: self.count,
            first_token: None,
        }
    }

    pub(super) fn first_token(&mut self, id: &PendingId) {
        if let Some(Some(slot)) = id.slot.and_then(|at| self.slots.get_mut(usize::from(at)))
            && slot.generation == id.generation
        {
            slot.awaits_first_token = false;
        }
    }

    pub(super) fn leave(&mut self, id: &PendingId) {
        self.count = self.count.saturating_sub(1);
        if let Some(slot) = id.slot.and_then(|at| self.slots.get_mut(usize::from(at)))
            && slot.is_some_and(|slot| slot.generation == id.generation)
        {
            *slot = None;
        }
    }

    /// What overdue requests multiply a prediction by: the worst ratio of the time that one has
    /// taken to what was predicted for it, once two are overdue or one is by far.
    pub(super) fn overdue(&self, now: Nanos, first_token: f64, answer: f64) -> f64 {
        let (mut count, mut worst) = (0_u32, 1.0_f64);
        for slot in self.slots.iter().flatten() {
            let mut predicted = first_token * slot.prompt;
            if !slot.awaits_first_token {
                predicted += OVERDUE * answer;
            }
            let ratio = now.since(slot.since).as_secs_f64() / predicted.max(f64::MIN_POSITIVE);
            if ratio > OVERDUE {
                count += 1;
                worst = worst.max(ratio);
            }
        }
        if count >= 2 || worst > OVERDUE_ALONE { worst.min(OVERDUE_MOST) } else { 1.0 }
    }
}
