//! Carrying out what a replica answered.

use std::time::Duration;

use longhaul_experiment::{Now, Time};
use longhaul_protocol::{Effect, PersistToken, Replica};

use super::Host;
use crate::delivery::{Delivery, ReplicaInput};
use crate::messages::FromAgent;
use crate::wire::{PeerFrame, ReplyFrame};

impl<R: Replica + 'static> Host<R> {
    /// Ends a batch: lets the replica add what it does once per batch, and carries everything
    /// out, until there is nothing left to do.
    pub(super) fn settle(&mut self, now: Now) -> Result<(), String> {
        if !self.started || self.replica.is_none() {
            return Ok(());
        }
        loop {
            self.call(|replica, out| replica.on_batch_end(now, out));
            // What was computed has to be paid for before it shows.
            self.slowness.pay();
            match self.carry_out()? {
                Some(token) => self.call(|replica, out| replica.on_persisted(now, token, out)),
                None => break,
            }
        }
        self.flush();
        self.slowness.pay();
        Ok(())
    }

    /// Returns the last token that was persisted at once, in memory.
    fn carry_out(&mut self) -> Result<Option<PersistToken>, String> {
        let mut effects =
            std::mem::replace(&mut self.outbox, longhaul_protocol::Outbox::new(false));
        let sent_at = self.gate.clock.now();
        let mut persisted = None;
        let mut result = Ok(());
        for effect in effects.drain() {
            if let Effect::Persist { token, records } = effect {
                match &self.storage {
                    Some(storage) => storage.persist(token, records),
                    None => persisted = Some(token),
                }
            } else if result.is_ok() {
                result = self.carry_out_one(effect, sent_at);
            }
        }
        self.outbox = effects;
        result.map(|()| persisted)
    }

    fn carry_out_one(
        &mut self,
        effect: Effect<R::Message, R::Timer>,
        sent_at: Time,
    ) -> Result<(), String> {
        match effect {
            Effect::Send { to, message } => {
                if self.peers.get(&to).is_some_and(|peer| peer.up) {
                    self.send_to_peer(to, sent_at, &PeerFrame::Message(message))?;
                }
            }
            Effect::Reply { operation, outcome } => {
                let frame = ReplyFrame::Reply { operation, outcome };
                self.send_to_client(operation.client, sent_at, &frame)?;
            }
            Effect::SetTimer { timer, after } => self.set_timer(timer, after, sent_at),
            Effect::CancelTimer { timer } => {
                self.timers.remove(&timer);
            }
            Effect::Leader { term, leader } => {
                let report = FromAgent::Leader {
                    replica: self.id,
                    at: sent_at,
                    term,
                    leader,
                };
                let _ = self.reports.send(report);
            }
            // Persisting is the caller's; visibility is recorded where staleness is measured, and
            // what a log lost where what clients saw is held against what is left.
            Effect::Persist { .. } | Effect::Applied { .. } | Effect::Truncated { .. } => {}
        }
        Ok(())
    }

    fn set_timer(&mut self, timer: R::Timer, after: Duration, now: Time) {
        self.settings += 1;
        self.timers.insert(timer, self.settings);
        let input = ReplicaInput::Timer {
            timer,
            setting: self.settings,
        };
        self.gate
            .line
            .push_unordered(now + after, Delivery::Replica(self.id, input).into());
    }
}
