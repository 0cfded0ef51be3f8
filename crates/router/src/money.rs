//! What a request may cost under the budget of its caller's key: priced for every candidate before
//! one is chosen, reserved once one is, and charged as attempts end. So a candidate that the budget
//! has nothing left for is left out as one that cannot serve the request, and the free ones stay.

use std::sync::Arc;

use http::StatusCode;
use routing::{
    CandidateIx, Endpoint, Money, RequestFacts, Usage,
    filter::{Funds, indexes},
    rank::Ranking,
    spend::{Refused, written},
};
use smallvec::SmallVec;

use crate::{
    access::unix_now,
    callers::CallerCell,
    decide,
    errors::{INVALID_REQUEST, RATE_LIMIT, Refusal},
    live::LiveAlias,
};

/// What each candidate would cost, under a budget.
#[derive(Debug)]
pub(crate) struct Bill {
    cell: Arc<CallerCell>,
    /// By index; `None`: its price is not known.
    costs: SmallVec<[Option<Money>; 8]>,
    /// Why those that cost too much may not be asked, if some do.
    refused: Option<Refused>,
    funds: SmallVec<[Funds; 8]>,
}

/// What is reserved of a budget until it is dropped.
#[derive(Debug)]
pub(crate) struct MoneyHold {
    cell: Arc<CallerCell>,
    cost: Money,
}

impl Drop for MoneyHold {
    fn drop(&mut self) {
        self.cell.release(self.cost);
    }
}

impl Bill {
    /// The bill of a request; `None`: its caller has no budget, or what it asks costs nothing.
    pub(crate) fn of(
        cell: Option<&Arc<CallerCell>>,
        alias: &LiveAlias,
        facts: &RequestFacts<'_>,
    ) -> Option<Self> {
        let cell = cell.filter(|_| facts.endpoint != Endpoint::CountTokens)?;
        // Most keys have none.
        cell.with_purse(|_| ())?;
        let output = decide::output(&alias.stats.lock(), facts.output_cap);
        let expected = Usage {
            input: facts.prompt_tokens,
            output,
            audio_out: facts.audio_out,
            images: facts.images,
            ..Usage::default()
        };
        let cost = |ix: CandidateIx| {
            let price = alias.candidates.get(ix.get())?.model()?.1.price.as_ref()?;
            let cost = price.cost(&expected);
            // What is priced by what cannot be foreseen is not free for that.
            Some(if price.is_free() { Money::ZERO } else { cost.max(Money::from_atto(1)) })
        };
        let costs: SmallVec<[_; 8]> = indexes(&alias.compiled).map(cost).collect();
        let now = unix_now();
        let mut refused = None;
        let funds = cell.with_purse(|purse| {
            let fund = |cost: &Option<Money>| match cost.map(|cost| purse.admits(now, cost)) {
                None | Some(Ok(())) => Funds::Some,
                Some(Err(why)) => {
                    refused = Some(why);
                    Funds::None
                }
            };
            costs.iter().map(fund).collect()
        })?;
        Some(Self { cell: Arc::clone(cell), costs, refused, funds })
    }

    /// What the budget has for each candidate, by index.
    pub(crate) fn funds(&self) -> &[Funds] {
        &self.funds
    }

    /// Reserves what the dearest of those that may be asked would cost; that much was asked for.
    pub(crate) fn reserve(self, ranking: &Ranking) -> MoneyHold {
        let costs = ranking.iter().filter_map(|ix| self.costs.get(ix.get()).copied().flatten());
        let cost = costs.max().unwrap_or_default();
        self.cell.hold(cost);
        MoneyHold { cell: self.cell, cost }
    }

    /// Why none may be asked, where that is the budget's: it was asked for all the same.
    pub(crate) fn refusal(self) -> Option<Refusal> {
        let refused = self.refused?;
        self.cell.ask(self.costs.iter().copied().flatten().min().unwrap_or_default());
        self.cell.metrics.over_budget();
        let key = &self.cell.label;
        Some(match refused {
            Refused::Spent { spent, resets } => {
                let resets = written(resets);
                let amount = self.cell.with_purse(|purse| purse.budget().amount);
                let amount = amount.unwrap_or_default();
                let message = format!(
                    "The budget of the access key {key} is spent: {spent} of {amount}. It begins \
                     anew at {resets}; until then only models that cost nothing are served."
                );
                let status = StatusCode::PAYMENT_REQUIRED;
                let mut refusal = Refusal::new(status, INVALID_REQUEST, "budget_exceeded", message);
                refusal.exhausted = true;
                refusal
            }
            Refused::Held { retry_after } => {
                let message = format!(
                    "What is left of the budget of the access key {key} is reserved for requests \
                     under way, or not enough for this one here: ask again after Retry-After."
                );
                let status = StatusCode::TOO_MANY_REQUESTS;
                Refusal::new(status, RATE_LIMIT, "rate_limit_exceeded", message)
                    .retry_after(retry_after)
            }
        })
    }
}
