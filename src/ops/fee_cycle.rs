//! The fee step: look at every channel, decide its fee, set what changed, remember why.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;

use super::policies::{Rules, Whom};
use super::publish::{Orders, Said};
use super::{FeeOutcome, Flows, Ops};
use crate::domain::units::to_u64_rounded;
use crate::domain::{Channel, ChannelId, NodeView, PeerId, Policy, Ppm, Time};
use crate::fees::{
    self, Action, Bid, FeeDecision, FeeInputs, Market, Memory, Observed, Plan, Reason, Refused, Tuning, Updates,
};
use crate::flow::traffic::traffic_index;
use crate::ledger::{ChangeCount, Demand, FeeRow, MemoryRow, MoveRow, Refusal, Reputation};
use crate::options::Options;

/// Amounts of the newest forwards from which it is told how much of the demand a balance could carry.
const AMOUNTS: u32 = 400;
/// Weeks of forwards behind the traffic index.
const TRAFFIC_HOURS: f64 = 28.0 * 24.0;
/// What a node may have resolved without having listed it yet; the next cycle counts it.
const UNSETTLED_SECS: i64 = 5;
/// Further back than this nothing is observed: after a longer absence the balances of then are unknown.
const LONGEST_LOOK_HOURS: f64 = 14.0 * 24.0;
/// A day, the period of the gossip budget.
const BUDGET_HOURS: f64 = 24.0;

/// What a fee cycle reads before it decides.
pub(super) struct Scene {
    pub(super) view: Arc<NodeView>,
    options: Arc<Options>,
    pub(super) market: Market,
    vegas: Reason,
    pub(super) memories: Arc<HashMap<PeerId, Memory>>,
    observed: HashMap<PeerId, Observed>,
    flows: Flows,
    changes: HashMap<ChannelId, ChangeCount>,
    /// The last plan, if it could be read.
    pub(super) kept: Option<Arc<Plan>>,
    pub(super) rules: Rules,
}

impl Ops {
    /// Decides every channel's fee. One refusal does not hide the rest.
    pub async fn fee_cycle(&self) -> anyhow::Result<Vec<FeeOutcome>> {
        self.catch_up().await?;
        self.expire_policies().await?;
        let _turn = self.turn.lock().await;
        self.fee_step(Whom::All).await
    }

    /// The step itself, for those who hold the turn.
    pub(super) async fn fee_step(&self, whom: Whom) -> anyhow::Result<Vec<FeeOutcome>> {
        let waiting = self.seen.read(|seen| seen.unapplied.clone());
        let outcomes = self.decide_and_act(whom).await;
        match &outcomes {
            // Nobody was decided: the word on these still waits.
            Err(_) => self.seen.change(|seen| seen.unapplied.extend(waiting)),
            Ok(_) if whom == Whom::All => self.rules_are_applied(),
            Ok(_) => {}
        }
        outcomes
    }

    async fn decide_and_act(&self, whom: Whom) -> anyhow::Result<Vec<FeeOutcome>> {
        let (now, options) = (self.clock.now(), self.settings.now());
        let rules = self.rules(whom, &options, now).await?;
        if rules.is_idle() {
            return Ok(Vec::new());
        }
        let scene = self.scene(now, options, rules).await.context("looking at the node")?;
        let tuning = tuning(&scene.options);
        let plan = self.plan(&scene, &tuning).await.context("planning what balances are worth")?;
        let told = self.seen.read(|seen| seen.terms_told.clone());
        let (mut orders, mut memories, mut claims) = (Orders::default(), Vec::new(), Vec::new());
        for (peer, channels) in scene.view.priced_by_peer().into_iter().filter(|(peer, _)| scene.rules.concerns(peer)) {
            for (place, (policy, group)) in scene.rules.groups(&channels).iter().enumerate() {
                claims.extend(scene.rules.claims(peer, policy));
                // The peer's memory is of those that are priced together; rules for others need none.
                let bid = plan.bid(&peer).filter(|_| place == 0);
                let decision = scene.decide((peer, group), bid, policy, &tuning);
                let said: Vec<Said> = group.iter().map(|channel| (*channel, scene.rules.terms_of(channel))).collect();
                orders.add(now, (&said, &told), &decision, scene.options.dry_run)?;
                let dry = scene.options.dry_run && decision.action != Action::Keep;
                let memory = if dry { fees::untold(decision.memory) } else { decision.memory };
                // What nobody could tell for a moment is no reason to forget what is being done.
                memories.extend((place == 0 && !policy.is_unheard()).then_some((peer, memory)));
            }
        }
        // Before anything is done it is written down: whoever stops us in between finds the order, and not a fee of nobody's.
        self.record_fees(now, scene.memories, memories, &orders.rows).await.context("recording the decisions")?;
        self.take_from_clboss(now, &scene.options, claims).await;
        self.end_ignores(&scene.options).await;
        self.carry_out(&mut orders, &scene.options).await?;
        self.begin_trials(&scene.view, &scene.rules, &orders.rows).await?;
        Ok(orders.outcomes())
    }

    async fn scene(&self, now: Time, options: Arc<Options>, rules: Rules) -> anyhow::Result<Scene> {
        let view = self.look(now).await?;
        self.settle_unheard(&view).await.context("finding out what came of earlier orders")?;
        self.note_rates(&view).await?;
        let rules = self.ruled(rules, &view, &options).await?;
        if !options.dry_run {
            self.judge_trials(&view, &rules).await?;
        }
        let (memories, kept) = (self.memories().await?, self.kept_plan().await?);
        // None of these waits for another: on a large node each takes a while.
        let ((market, vegas), observed, flows, changes) = tokio::try_join!(
            self.market(&view, &options, kept.as_deref()),
            self.observe(&view, &memories, (&rules, options.enable_reputation)),
            self.flows(),
            self.ledger.changes_since(now.plus_hours(-BUDGET_HOURS), now, options.dry_run),
        )?;
        Ok(Scene { view, options, market, vegas, memories, observed, flows, changes, kept, rules })
    }

    async fn market(
        &self,
        view: &NodeView,
        options: &Options,
        kept: Option<&Plan>,
    ) -> anyhow::Result<(Market, Reason)> {
        let mut amounts = self.ledger.recent_amounts(AMOUNTS).await?;
        amounts.sort_unstable();
        let from = view.now.plus_hours(-TRAFFIC_HOURS);
        let hours = self.ledger.node_hours(from).await?;
        let first = hours.first().map_or(view.now, |(hour, _)| Time(hour * 3_600_000).max(from));
        // Where the node cannot tell the price of block space now, it is about what it was in the last hours, not nothing.
        let sat_per_kvb = match view.feerate {
            Some(feerate) => Some(feerate.sat_per_kvb),
            None => self.feerate_lately(view.now).await?.map(to_u64_rounded),
        };
        let traffic = traffic_index(&hours, first, view.now);
        let (floor_multiplier, vegas) = self.vegas(view, options).await?;
        let patience = fees::patience_of(kept);
        Ok((Market { amounts, traffic, floor_multiplier, sat_per_kvb, patience }, vegas))
    }

    /// What is remembered of each peer: as the last step has recorded it, or read from the ledger. A memory that this version cannot
    /// read is an error, not a fresh start: it was written by us and is worth weeks.
    pub(super) async fn memories(&self) -> anyhow::Result<Arc<HashMap<PeerId, Memory>>> {
        if let Some(memories) = self.seen.read(|seen| seen.memories.clone()) {
            return Ok(memories);
        }
        let rows = self.ledger.memories().await?;
        let parse = |row: MemoryRow| {
            let memory = fees::recalled(&row.memory, row.learned.as_deref())
                .with_context(|| format!("what is remembered of peer {}", row.peer))?;
            Ok((row.peer, memory))
        };
        rows.into_iter().map(parse).collect::<anyhow::Result<_>>().map(Arc::new)
    }

    /// Saves decisions and memories, as far as they are not kept already. For those who hold the turn.
    pub(super) async fn record_fees(
        &self,
        now: Time,
        mut memories: Arc<HashMap<PeerId, Memory>>,
        news: Vec<(PeerId, Memory)>,
        rows: &[FeeRow],
    ) -> anyhow::Result<()> {
        let saved = |(peer, memory): &(PeerId, Memory)| {
            let saved = fees::saved(memory, memories.get(peer))?;
            Ok(MemoryRow { peer: *peer, memory: saved.memory, learned: saved.learned })
        };
        let saved = news.iter().map(saved).collect::<anyhow::Result<Vec<_>>>()?;
        // Whether it is kept is known afterwards only: whoever comes in between, or after a failure, reads the ledger.
        self.seen.change(|seen| seen.memories = None);
        self.ledger.record_fees(now, &saved, rows).await?;
        Arc::make_mut(&mut memories).extend(news);
        self.seen.change(|seen| seen.memories = Some(memories));
        Ok(())
    }

    /// What happened toward each peer since it was last priced, as far as the node has told it: after that nothing is observed, which
    /// is something else than that nothing happened.
    async fn observe(
        &self,
        view: &NodeView,
        memories: &HashMap<PeerId, Memory>,
        (rules, weigh): (&Rules, bool),
    ) -> anyhow::Result<HashMap<PeerId, Observed>> {
        // Reading and looking take time, in which payers come whom the ledger does not know yet.
        // A time that is still to come, after a clock was set back, says nothing.
        let read_until = self.read_until().await?.filter(|until| *until <= view.now);
        let known = read_until.map(|until| until.plus_secs(-UNSETTLED_SECS));
        // What a rule prices beside the controller answers to another price, and says nothing of this one.
        let apart = rules.priced_apart(view);
        let counts = view.channels.iter().filter(|channel| !apart.contains(&channel.channel_id));
        let peer_of: HashMap<ChannelId, PeerId> = counts.map(|c| (c.channel_id, c.peer)).collect();
        let reputations = if weigh { self.ledger.reputations().await? } else { HashMap::new() };
        // Nearly always all peers were priced at the same moment, so that this is one query.
        let mut spans: BTreeMap<(Time, Time), Vec<PeerId>> = BTreeMap::new();
        for (peer, _) in view.priced_by_peer() {
            let seen = memories.get(&peer).map(|memory| memory.seen_until);
            let to = known.unwrap_or_else(|| seen.unwrap_or(view.now).min(view.now));
            let from = seen.map_or(to, |seen| seen.clamp(to.plus_hours(-LONGEST_LOOK_HOURS), to));
            spans.entry((from, to)).or_default().push(peer);
        }
        let mut observed = HashMap::new();
        for ((from, to), peers) in spans {
            let demand = self.ledger.demand(from, to).await?;
            let mut span: HashMap<PeerId, Observed> =
                peers.into_iter().map(|peer| (peer, Observed { from, to, ..Observed::default() })).collect();
            add_demand(&mut span, &demand, &peer_of, &reputations);
            add_moves(&mut span, &self.ledger.closed_moves(from).await?);
            add_refused(&mut span, &self.ledger.refusals(from, to).await?, &peer_of);
            observed.extend(span);
        }
        Ok(observed)
    }
}

impl Scene {
    fn decide(
        &self,
        (peer, channels): (PeerId, &[&Channel]),
        bid: Option<&Bid>,
        policy: &Policy,
        tuning: &Tuning,
    ) -> FeeDecision {
        let memory = self.memories.get(&peer).map(|memory| match self.options.dry_run {
            true => Cow::Borrowed(memory),
            false => fees::in_earnest(memory),
        });
        let nothing = Observed { from: self.view.now, to: self.view.now, ..Observed::default() };
        let flows = || channels.iter().filter_map(|channel| self.flows.get(&channel.channel_id));
        let count = |of: fn(&ChangeCount) -> u32| {
            channels.iter().filter_map(|channel| self.changes.get(&channel.channel_id)).map(of).max().unwrap_or(0)
        };
        let out_per_day = flows().next().is_some().then(|| flows().map(|(_, flow)| flow.out_per_day).sum());
        fees::decide(&FeeInputs {
            now: self.view.now,
            peer,
            channels,
            out_per_day,
            observed: self.observed.get(&peer).unwrap_or(&nothing),
            market: &self.market,
            updates: Updates { ordinary: count(|c| c.ordinary), urgent: count(|c| c.urgent) },
            memory: memory.as_deref(),
            bid,
            tuning,
            policy,
        })
        .with_vegas(self.vegas.clone())
    }
}

/// The few options that pricing needs.
pub fn tuning(options: &Options) -> Tuning {
    Tuning {
        min: Ppm(options.min_fee_ppm),
        max: Ppm(options.max_fee_ppm),
        congestion_threshold: options.htlc_congestion_threshold,
        scarcity: options.scarcity_pricing,
        scarcity_threshold: options.scarcity_threshold,
        updates_per_day: options.max_fee_updates_per_day,
        hysteresis: options.gossip_hysteresis,
    }
}

fn add_demand(
    span: &mut HashMap<PeerId, Observed>,
    demand: &[Demand],
    peer_of: &HashMap<ChannelId, PeerId>,
    reputations: &HashMap<PeerId, Reputation>,
) {
    for row in demand {
        if let Some(bringer) = row.from_peer.and_then(|peer| span.get_mut(&peer)) {
            bringer.in_msat += row.in_msat as f64;
        }
        let Some(seen) = peer_of.get(&row.out).and_then(|peer| span.get_mut(peer)) else { continue };
        let weight = row.from_peer.and_then(|peer| reputations.get(&peer)).map_or(1.0, success_score);
        seen.events += weight * (row.settled + row.starved) as f64;
        seen.settled += row.settled as f64;
        seen.out_msat += row.out_msat as f64;
    }
}

fn add_refused(span: &mut HashMap<PeerId, Observed>, refusals: &[Refusal], peer_of: &HashMap<ChannelId, PeerId>) {
    for refusal in refusals {
        if let Some(seen) = peer_of.get(&refusal.out).and_then(|peer| span.get_mut(peer)) {
            seen.refused.push(Refused { at: refusal.at, came_back: refusal.came_back });
        }
    }
}

/// What has come across by moves that were closed within the span; what one that is under way has brought is told when it is over.
fn add_moves(span: &mut HashMap<PeerId, Observed>, moves: &[MoveRow]) {
    for row in moves {
        let Some(end) = row.ended else { continue };
        let ends =
            [(row.new.to_peer, end.moved.as_f64()), (row.new.from_peer, -end.moved.as_f64() - end.spent.as_f64())];
        for (peer, msat) in ends {
            if let Some(seen) = span.get_mut(&peer).filter(|seen| seen.from < end.at && end.at <= seen.to) {
                seen.moved_msat += msat;
            }
        }
    }
}

/// Share of a peer's payments that get through, 1 for a peer that is not known.
pub(super) fn success_score(reputation: &Reputation) -> f64 {
    (reputation.successes + 1.0) / (reputation.successes + reputation.failures + 1.0)
}
