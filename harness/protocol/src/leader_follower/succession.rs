//! How leadership passes on: what every replica does about it.

use longhaul_experiment::{ErrorKind, Outcome, ReplicaId};

use super::following::Following;
use super::leadership::Leadership;
use super::leading::{Beginning, Leading};
use super::log::Entry;
use super::message::{Gather, Heartbeat, Lead, Message, Propose, Report, Timer};
use super::replica::{LeaderFollowerReplica, Role};
use crate::outbox::Outbox;

impl LeaderFollowerReplica {
    /// Takes over what was agreed on, unless it knows of a later agreement.
    pub(super) fn learn(&mut self, agreed: Leadership, out: &mut Outbox<Message, Timer>) {
        let known = &self.standing.agreed;
        if agreed.version <= known.version {
            return;
        }
        let is_new_term = agreed.term > known.term;
        // Nobody led in between, so what was asked of it can still be answered.
        let leads_on = agreed.version == known.version + 1 && agreed.leader == known.leader;
        self.standing.agreed = agreed;
        self.election.end();
        if is_new_term {
            self.change_leader(leads_on, out);
        } else if let Role::Leader(leading) = &mut self.role {
            leading.on_agreed(&self.standing.agreed);
            leading.renew_lease(self.periods, &self.standing.agreed);
        }
        if let Some(leader) = self.standing.agreed.leader {
            self.tell_news(leader, out);
        }
    }

    /// Follows the beginning of a term.
    fn change_leader(&mut self, leads_on: bool, out: &mut Outbox<Message, Timer>) {
        self.asks_again = false;
        self.watch.heard(self.now);
        let is_led = self.standing.is_led_by(self.member.id);
        let first_term = match &self.role {
            Role::Leader(leading) if is_led && leads_on => Some(leading.first_term),
            _ => None,
        };
        self.refuse_held_reads(out);
        if first_term.is_none() {
            self.abandon_writes(out);
        }
        // What an earlier leader let its followers execute is not for this one's log.
        self.commit = self.executed;
        if is_led {
            return self.lead(first_term, out);
        }
        self.role = Role::Follower(Following::default());
        self.journal.persist_standing(&self.standing, out);
        out.leader(self.standing.agreed.term, None);
    }

    /// Answers the writes that a deposed leader did not execute: the next leader may.
    fn abandon_writes(&self, out: &mut Outbox<Message, Timer>) {
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let hint = self.leader_elsewhere();
        let waiting = self.log.from(self.executed + 1);
        let own = waiting.filter(|entry| entry.term >= leading.first_term);
        for request in own.filter_map(|entry| entry.request.as_ref()) {
            out.reply(request.id, Outcome::Unknown(ErrorKind::NotLeader { hint }));
        }
    }

    /// Refuses the reads that wait for a lease.
    fn refuse_held_reads(&mut self, out: &mut Outbox<Message, Timer>) {
        let hint = self.leader_elsewhere();
        if let Role::Leader(leading) = &mut self.role {
            for (id, _) in leading.take_held() {
                out.refuse(id, ErrorKind::NotLeader { hint });
            }
        }
    }

    fn leader_elsewhere(&self) -> Option<ReplicaId> {
        let other = |&leader: &ReplicaId| leader != self.member.id;
        self.standing.agreed.leader.filter(other)
    }

    /// Begins the term that it was appointed for. `first_term` is the first of those that it has
    /// led without a break.
    pub(super) fn lead(&mut self, first_term: Option<u64>, out: &mut Outbox<Message, Timer>) {
        let term = self.standing.agreed.term;
        let term_token = self.journal.persist_standing(&self.standing, out);
        if term > 1 {
            // Acknowledgements count for entries of the own term alone (Raft, section 5.4.2), so
            // that entries of earlier terms need one of this term after them.
            self.log.push(Entry {
                term,
                request: None,
            });
        }
        let beginning = Beginning {
            now: self.now,
            periods: self.periods,
            term_token,
            first_term: first_term.unwrap_or(term),
            log: &self.log,
            agreed: &self.standing.agreed,
        };
        let mut leading = Leading::new(self.member.peers(), self.mode.fencing, &beginning);
        leading.waiting_bytes = self
            .log
            .from(self.executed + 1)
            .map(|entry| entry.weight())
            .sum();
        for &peer in &self.up {
            if let Some(follower) = leading.follower(peer) {
                follower.on_peer(true, &self.log);
            }
        }
        self.readable_at = Some(leading.term_start);
        self.role = Role::Leader(leading);
        out.leader(term, Some(self.member.id));
    }

    /// Follows the leader that was agreed on, or refuses another.
    pub(super) fn on_lead(
        &mut self,
        from: ReplicaId,
        lead: Lead,
        out: &mut Outbox<Message, Timer>,
    ) {
        let lead_term = lead.leadership.term;
        self.learn(lead.leadership.clone(), out);
        let (term, life) = (self.standing.term(), self.standing.life);
        let Role::Follower(following) = &mut self.role else {
            return self.reject(from, lead_term, out);
        };
        if lead_term != term || self.standing.agreed.leader != Some(from) {
            return self.reject(from, lead_term, out);
        }
        if following.leader() != Some(from) {
            out.leader(term, Some(from));
        }
        following.on_lead(from, &lead);
        if self.readable_at.is_none_or(|index| index > self.executed) {
            self.readable_at = Some(lead.readable_at);
        }
        self.watch.heard(self.now);
        let sent_at = lead.sent_at;
        out.send(
            from,
            Message::Heard {
                term,
                sent_at,
                life,
            },
        );
    }

    /// Takes the leader's sign of life.
    pub(super) fn on_heartbeat(
        &mut self,
        from: ReplicaId,
        heartbeat: Heartbeat,
        out: &mut Outbox<Message, Timer>,
    ) {
        let (term, life) = (self.standing.term(), self.standing.life);
        let is_leader = self.standing.agreed.leader == Some(from);
        if heartbeat.term != term || !is_leader || matches!(self.role, Role::Leader(_)) {
            return self.reject(from, heartbeat.term, out);
        }
        self.watch.heard(self.now);
        let sent_at = heartbeat.sent_at;
        out.send(
            from,
            Message::Heard {
                term,
                sent_at,
                life,
            },
        );
        if let Some(append) = heartbeat.append {
            self.on_append(from, append, out);
        }
    }

    /// Refuses a message of a leader of `term`, and says why.
    pub(super) fn reject(&mut self, from: ReplicaId, term: u64, out: &mut Outbox<Message, Timer>) {
        let own = self.standing.term();
        out.send(from, Message::Reject { term: own });
        if term < self.standing.agreed.term {
            self.tell_news(from, out);
        }
    }

    /// Tells a peer what was agreed on, unless that is what everybody knows from the beginning.
    pub(super) fn tell_news(&self, peer: ReplicaId, out: &mut Outbox<Message, Timer>) {
        let agreed = &self.standing.agreed;
        if agreed.version > 1 && peer != self.member.id && self.up.contains(&peer) {
            out.send(peer, Message::News(Box::new(agreed.clone())));
        }
    }

    /// Does what is to be done at a heartbeat.
    pub(super) fn beat(&mut self, out: &mut Outbox<Message, Timer>) {
        if matches!(&self.role, Role::Leader(leading) if !leading.accepts(self.now)) {
            self.refuse_held_reads(out);
        }
        let (rule, periods) = (self.mode.acknowledgement, self.periods);
        let wanted = self.shipping(|leading, view| {
            leading.heartbeat(view, out);
            leading.wants(rule, periods, view)
        });
        if let Some(wanted) = wanted.flatten() {
            self.propose(wanted, out);
        } else if self.asks_again {
            self.ask_again(out);
        }
        self.say_missing(out);
        self.gather(out);
    }

    /// Asks to be appointed again: a leader that restarted may have shipped what it does not have
    /// any more, and cannot go on with the term. All that it acknowledged it has.
    fn ask_again(&mut self, out: &mut Outbox<Message, Timer>) {
        let agreed = &self.standing.agreed;
        let wanted = Leadership {
            version: agreed.version + 1,
            term: self.standing.term().max(agreed.term + 1),
            ..agreed.clone()
        };
        self.propose(wanted, out);
    }

    /// Brings a proposal to the controller, through whoever has a connection to it.
    fn propose(&mut self, leadership: Leadership, out: &mut Outbox<Message, Timer>) {
        if let Some(consensus) = &mut self.consensus
            && consensus.controls()
        {
            return consensus.propose(leadership);
        }
        for &peer in &self.up {
            let propose = Propose {
                leadership: leadership.clone(),
                relay: true,
            };
            out.send(peer, Message::Propose(Box::new(propose)));
        }
    }

    /// Takes a proposal, or passes it on.
    pub(super) fn on_propose(
        &mut self,
        from: ReplicaId,
        propose: Propose,
        out: &mut Outbox<Message, Timer>,
    ) {
        let Some(consensus) = &mut self.consensus else {
            return;
        };
        if consensus.controls() {
            return consensus.propose(propose.leadership);
        }
        let controller = consensus.controller().filter(|&id| id != from);
        if let Some(controller) = controller.filter(|id| propose.relay && self.up.contains(id)) {
            let relayed = Propose {
                relay: false,
                ..propose
            };
            out.send(controller, Message::Propose(Box::new(relayed)));
        }
    }

    /// Says that the leader is missing, if it is.
    fn say_missing(&mut self, out: &mut Outbox<Message, Timer>) {
        let version = self.standing.agreed.version;
        let leads = matches!(self.role, Role::Leader(_));
        if leads || version == 0 || !self.watch.is_missing(self.now) {
            return;
        }
        let (id, life) = (self.member.id, self.standing.life);
        self.on_missing(id, (version, life), out);
        for &peer in &self.up {
            out.send(peer, Message::Missing { version, life });
        }
    }

    /// Takes a replica's word that it misses the leader.
    pub(super) fn on_missing(
        &mut self,
        from: ReplicaId,
        (version, life): (u64, u32),
        out: &mut Outbox<Message, Timer>,
    ) {
        let agreed = &self.standing.agreed;
        if version < agreed.version {
            return self.tell_news(from, out);
        }
        if version == agreed.version && agreed.counts(from, life) && self.controls() {
            self.election.on_missing(from, self.now);
        }
    }

    /// Asks for positions, as the controller, while a majority misses the leader.
    fn gather(&mut self, out: &mut Outbox<Message, Timer>) {
        if !self.controls() {
            return self.election.end();
        }
        let clock = (self.now, self.periods.heartbeat);
        let agreed = &self.standing.agreed;
        let Some(gathering) = self.election.gather(clock, agreed) else {
            return;
        };
        let question = Gather {
            leadership: agreed.clone(),
            term: gathering.term,
        };
        let asked = self.up.iter().filter(|&&peer| gathering.waits_for(peer));
        for &peer in asked {
            out.send(peer, Message::Gather(Box::new(question.clone())));
        }
        if gathering.waits_for(self.member.id) {
            self.on_gather(self.member.id, question, out);
        }
    }

    /// Promises itself to the term of another leader, if it misses the present one, and reports
    /// its position once all it holds is safe.
    pub(super) fn on_gather(
        &mut self,
        from: ReplicaId,
        gather: Gather,
        out: &mut Outbox<Message, Timer>,
    ) {
        let version = gather.leadership.version;
        self.learn(gather.leadership, out);
        if version < self.standing.agreed.version {
            return self.tell_news(from, out);
        }
        let leads = matches!(self.role, Role::Leader(_));
        if leads || !self.watch.is_missing(self.now) {
            return;
        }
        if gather.term > self.standing.term() {
            self.standing.promised = gather.term;
            self.role = Role::Follower(Following::default());
            self.journal.persist_standing(&self.standing, out);
            out.leader(gather.term, None);
        }
        self.watch.report_to = Some(from);
    }

    /// Sends the report that a controller waits for.
    fn report(&mut self, out: &mut Outbox<Message, Timer>) {
        let Some(controller) = self.watch.report_to else {
            return;
        };
        if !self.journal.is_settled(&self.log) {
            return;
        }
        self.watch.report_to = None;
        let report = Report {
            version: self.standing.agreed.version,
            term: self.standing.term(),
            position: self.log.last(),
            life: self.standing.life,
        };
        if controller == self.member.id {
            return self.on_report(controller, &report);
        }
        out.send(controller, Message::Report(Box::new(report)));
    }

    /// Takes a report, as the controller.
    pub(super) fn on_report(&mut self, from: ReplicaId, report: &Report) {
        let agreed = &self.standing.agreed;
        self.election.on_report(from, report, agreed);
    }

    /// Brings on what can be agreed on, and takes over what was.
    pub(super) fn agree(&mut self, out: &mut Outbox<Message, Timer>) {
        self.report(out);
        let Some(consensus) = &mut self.consensus else {
            return;
        };
        let clock = (self.now, self.periods.heartbeat);
        let about = (&self.member, &self.standing.agreed);
        let rule = self.mode.acknowledgement;
        if let Some(chosen) = self.election.decide(clock, rule, about) {
            consensus.propose(chosen);
        }
        if consensus.on_batch_end(&mut self.journal, out) {
            let agreed = consensus.agreed();
            self.learn(agreed, out);
        }
    }

    fn controls(&self) -> bool {
        let consensus = self.consensus.as_ref();
        consensus.is_some_and(super::leadership::consensus::Consensus::controls)
    }
}
