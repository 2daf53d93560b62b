//! Lives of a replica's process, and what faults do to it and its machine.

use longhaul_experiment::fault::ClockShift;
use longhaul_protocol::{Outbox, Recovered, Replica};

use super::Host;
use crate::delivery::{Delivery, ReplicaInput};
use crate::faults::order::{ReplicaChange, ReplicaFault};
use crate::messages::{FaultReport, FromAgent};
use crate::storage::WriteAheadLog;

impl<R: Replica + 'static> Host<R> {
    /// Carries out a fault's beginning or end.
    pub(super) fn suffer(&mut self, fault: ReplicaFault) -> Result<(), String> {
        let mut at = self.gate.clock.now();
        match fault.change {
            ReplicaChange::Crash => self.crash(),
            ReplicaChange::Restart => {
                self.restart()?;
                at = self.gate.clock.now();
            }
            ReplicaChange::Pause => self.is_paused = true,
            ReplicaChange::Resume => self.resume(),
            ReplicaChange::Slow(factor) => self.slowness.set(factor),
            ReplicaChange::SlowDisk(added) => self.sync_delay.set(added),
            ReplicaChange::ClockShift(by_ns) => self.clock_shift = ClockShift(by_ns),
        }
        let report = FaultReport {
            number: fault.number,
            begins: fault.begins,
            planned_at: fault.planned_at,
            at,
            replica: Some(self.id),
        };
        let _ = self.reports.send(FromAgent::Fault(report));
        Ok(())
    }

    /// Opens the log of this life, if there is one, and returns what it kept.
    pub(super) fn open_storage(&mut self) -> Result<Recovered, String> {
        let Some(directory) = &self.log_directory else {
            return Ok(Recovered::Nothing);
        };
        let (mailboxes, id) = (self.gate.mailboxes.clone(), self.id);
        let incarnation = self.incarnation;
        let report = move |report| {
            let input = ReplicaInput::Persisted {
                incarnation,
                report,
            };
            mailboxes.deliver(Delivery::Replica(id, input));
        };
        let opened = WriteAheadLog::open(directory, self.sync_delay.clone(), report);
        let (log, recovered) = opened.map_err(|why| why.to_string())?;
        self.storage = Some(log);
        Ok(recovered)
    }

    fn resume(&mut self) {
        self.is_paused = false;
        self.running.notify_waiters();
    }

    /// Kills the process: nothing that it had not done is done any more. Its connections close,
    /// which the others learn after the one-way delay and all that had been sent.
    fn crash(&mut self) {
        if self.replica.take().is_none() {
            return;
        }
        self.resume();
        self.outbox = Outbox::new(self.outbox.is_durable());
        self.timers.clear();
        for peer in self.peers.values_mut() {
            peer.die();
        }
        for session in std::mem::take(&mut self.sessions).into_values() {
            session.outbound.close();
        }
        self.dead_storage = self.storage.take();
        if let Some(storage) = &mut self.dead_storage {
            storage.kill();
        }
    }

    /// Starts the process again, from what its storage kept.
    fn restart(&mut self) -> Result<(), String> {
        if self.replica.is_some() {
            return Ok(());
        }
        // Waits for the sync that the disk was carrying out when the process died.
        self.dead_storage = None;
        self.incarnation += 1;
        let recovered = match self.open_storage()? {
            Recovered::Nothing if self.storage.is_none() => Recovered::Lost,
            // A process that had a past, of which nothing was safe yet.
            Recovered::Nothing => Recovered::Storage {
                checkpoint: None,
                records: Vec::new(),
            },
            kept => kept,
        };
        self.replica = Some((self.make)(self.incarnation));
        let now = self.now();
        self.call(|replica, out| replica.on_start(now, recovered, out));
        for &peer in self.peers.keys() {
            let dial = ReplicaInput::Dial(peer);
            self.gate
                .mailboxes
                .deliver(Delivery::Replica(self.id, dial));
        }
        self.settle(now)
    }
}
