//! The rebalance step: see what came of the moves under way, plan on what is known now, reserve, order. Without a rebalancer the plan is
//! made all the same, and nothing is moved.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;

use super::moves::{Jobs, Patience, Watch};
use super::policies::Rules;
use super::routes::{Guessed, Looked, MOST_ASKED, Routes};
use super::{Flows, Ops, OrderError};
use crate::domain::units::to_i64_rounded;
use crate::domain::{ChannelId, Job, MoveFailure, Msat, NodeView, PeerId, Ppm, Sat, Scid, Share, Side, Time};
use crate::fees::{self, Market, PlanInputs, Planned};
use crate::ledger::{MoveEnd, MoveRow, NewMove, Reputation};
use crate::node::{NodeError, Rebalancer};
use crate::options::Options;
use crate::rebalance::{
    self, Budget, Busy, Candidate, Funds, Limits, Move, PastMove, PeerFacts, Plan, RebalanceInputs, Tuning, Wanted,
    Worth,
};

/// Amounts of the newest forwards from which it is told how large payments are.
const AMOUNTS: u32 = 400;
/// Own moves of so many days tell what a move costs.
const PAST_DAYS: f64 = 30.0;
/// A channel of ours that has not sent anything yet is new for so long.
const NEWCOMER_DAYS: f64 = 14.0;
const BUDGET_HOURS: f64 = 24.0;
/// Where a channel is priced so that its balance lasts, more of it is sold at a lower price: with payers as they usually are, a satoshi
/// more earns about this part of the price.
const SOLD: f64 = 0.6;
/// Times that a plan is made anew with what a search for routes has found.
const MOST_LOOKS: usize = 3;

/// What a rebalance step saw and did.
#[derive(Clone, Debug)]
pub struct RebalanceReport {
    pub at: Time,
    pub rebalancer: Presence,
    pub dry_run: bool,
    pub budget: Budget,
    pub plan: Plan,
    /// What became of each move of the plan, in its order; empty where nothing was to be moved.
    pub begun: Vec<Begun>,
}

/// Whether somebody is there to move anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// This node has none.
    Never,
    /// It is not loaded now.
    Missing,
    /// It did not answer.
    Unknown(String),
    There(String),
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    Started(i64),
    /// No answer came; the next step tells.
    Unheard(i64),
    Refused(String),
    /// Nothing was ordered, because of `dry-run`.
    Dry,
}

/// What `revenue-rebalance` orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOrder {
    pub to: String,
    /// What is drained, and for how much; `None`: whatever is best.
    pub pair: Option<(String, Sat)>,
    pub max_fee: Option<Sat>,
    pub force: bool,
}

/// What `revenue-clear-reservations` did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleared {
    pub moves: u32,
    pub released: Msat,
    pub budget: Budget,
}

/// What a plan is made of, owned.
struct Scene {
    view: Arc<NodeView>,
    options: Arc<Options>,
    flows: Flows,
    peers: BTreeMap<PeerId, PeerFacts>,
    amounts: Vec<Msat>,
    past: Vec<PastMove>,
    new: HashSet<ChannelId>,
    open: Vec<MoveRow>,
    jobs: Vec<Job>,
    budget: Budget,
    tuning: Tuning,
    rules: Rules,
    routes: Routes,
    /// May moves rest on a guess of what a route costs?
    guesses: bool,
}

impl Ops {
    /// The same with somebody who moves liquidity.
    pub fn with_rebalancer(mut self, rebalancer: Arc<dyn Rebalancer>) -> Ops {
        self.rebalancer = Some(rebalancer);
        self
    }

    /// One whole rebalance step.
    pub async fn rebalance_cycle(&self) -> anyhow::Result<Arc<RebalanceReport>> {
        // What is under way is watched also where the node cannot tell its forwards.
        let caught_up = self.catch_up().await;
        let _turn = self.turn.lock().await;
        let (now, options) = (self.clock.now(), self.settings.now());
        let (presence, jobs) = self.attend((now, &options), Patience::usual(&options)).await?;
        caught_up?;
        let mut scene = self.moving_scene(now, options, jobs).await.context("looking at the node")?;
        let plan = self.look_first(&mut scene, rebalance::plan).await;
        let begun = self.begin_all(&plan.moves, &presence, &scene).await?;
        let (dry_run, budget) = (scene.options.dry_run, scene.budget);
        let report = Arc::new(RebalanceReport { at: now, rebalancer: presence, dry_run, budget, plan, begun });
        self.seen.change(|seen| seen.rebalance = Some(report.clone()));
        Ok(report)
    }

    /// A plan that is made anew until no cost in it is guessed of which the node could say what it is. What it has not looked for after
    /// so many searches waits for the next step: nothing is spent on a guess.
    async fn look_first<T: Guessed>(&self, scene: &mut Scene, plan: impl Fn(&RebalanceInputs) -> T) -> T {
        let mut most = MOST_ASKED;
        for _ in 0..MOST_LOOKS {
            let made = scene.with(&plan);
            let pairs = made.guessed(&scene.view);
            if pairs.is_empty() {
                return made;
            }
            match self.ask_routes((&scene.view, &scene.tuning), &pairs, most, &mut scene.routes).await {
                Looked::Wholly => most -= pairs.len(),
                Looked::Never => return made,
                Looked::Partly => break,
            }
        }
        scene.guesses = false;
        scene.with(&plan)
    }

    /// One move that an operator wants, at once.
    pub async fn rebalance_by_hand(&self, order: &HandOrder) -> Result<(Move, Begun), OrderError> {
        let _turn = self.turn.lock().await;
        let (now, options) = (self.clock.now(), self.settings.now());
        let (presence, jobs) = self.attend((now, &options), Patience::usual(&options)).await?;
        let mut scene = self.moving_scene(now, options, jobs).await?;
        let to = self.scid_by_name(&scene.view, &order.to).await?;
        let made = match &order.pair {
            None => self.look_first(&mut scene, |i| rebalance::best_for(i, to, order.max_fee)).await,
            Some((from, amount)) => {
                let from = self.scid_by_name(&scene.view, from).await?;
                let id = |scid| scene.view.channels.iter().find(|c| c.scid == Some(scid)).map(|c| c.channel_id);
                if let (Some(from), Some(to)) = (id(from), id(to)) {
                    let seen = (&*scene.view, &scene.tuning);
                    self.ask_routes(seen, &[(from, to)], 1, &mut scene.routes).await;
                }
                let (amount, max_fee, force) = (*amount, order.max_fee, order.force);
                scene.with(|i| rebalance::by_hand(i, &Wanted { from, to, amount, max_fee, force }))
            }
        };
        let made = made.map_err(|refusal| OrderError::Caller(refusal.to_string()))?;
        if scene.options.dry_run {
            return Ok((made, Begun::Dry));
        }
        match self.rebalancer.as_deref().filter(|_| matches!(presence, Presence::There(_))) {
            Some(rebalancer) => {
                let begun = self.begin(rebalancer, &made, &scene, true).await?;
                Ok((made, begun))
            }
            None => {
                Err(OrderError::Caller(presence.in_words().unwrap_or_else(|| "nobody moves liquidity here".to_owned())))
            }
        }
    }

    async fn scid_by_name(&self, view: &NodeView, name: &str) -> Result<Scid, OrderError> {
        let id = self.channel_by_name(view, name).await?;
        let channel = view.channels.iter().find(|channel| channel.channel_id == id);
        let unconfirmed = || OrderError::Caller(format!("channel '{name}' does not route now"));
        channel.and_then(|channel| channel.scid).ok_or_else(unconfirmed)
    }

    /// Closes the accounts of moves that nobody works on any more. What they have cost, if nobody can tell, counts as all that was
    /// reserved. Answers how many there were, and what is free again.
    pub async fn clear_reservations(&self) -> anyhow::Result<Cleared> {
        let _turn = self.turn.lock().await;
        let (now, options) = (self.clock.now(), self.settings.now());
        let before = self.ledger.move_sums(now.plus_hours(-BUDGET_HOURS)).await?;
        self.attend((now, &options), Patience::SHORT).await?;
        // Once more: what has ended while it was looked at is settled now.
        let (_, jobs) = self.attend((now, &options), Patience::NONE).await?;
        let scene = self.moving_scene(now, options, jobs).await?;
        Ok(Cleared {
            moves: before.open.saturating_sub(u32::try_from(scene.open.len()).unwrap_or(u32::MAX)),
            released: before.reserved.saturating_sub(scene.budget.reserved),
            budget: scene.budget,
        })
    }

    /// The last rebalance step.
    pub fn last_rebalance(&self) -> Option<Arc<RebalanceReport>> {
        self.seen.read(|seen| seen.rebalance.clone())
    }

    /// Is the rebalancer there, and what has become of what it was told?
    async fn attend(
        &self,
        (now, options): (Time, &Options),
        patience: Patience,
    ) -> anyhow::Result<(Presence, Vec<Job>)> {
        let Some(rebalancer) = self.rebalancer.as_deref() else { return Ok((Presence::Never, vec![])) };
        let asked = async {
            let Some(version) = rebalancer.version().await? else { return Ok(None) };
            Ok::<_, NodeError>(Some((version, rebalancer.jobs().await?)))
        };
        let (presence, jobs) = match asked.await {
            Ok(Some((version, jobs))) => (Presence::There(version), Some(jobs)),
            Ok(None) | Err(NodeError::Unsupported { .. }) => (Presence::Missing, None),
            Err(error) => return Ok((Presence::Unknown(error.to_string()), vec![])),
        };
        let listed: Jobs = jobs.as_deref();
        self.watch_moves(Watch { rebalancer, jobs: listed, now, options }).await?;
        self.stop_orphans(rebalancer, listed.unwrap_or_default(), now).await?;
        self.give_up(rebalancer, listed.unwrap_or_default(), (now, patience)).await?;
        Ok((presence, jobs.unwrap_or_default()))
    }

    async fn moving_scene(&self, now: Time, options: Arc<Options>, jobs: Vec<Job>) -> anyhow::Result<Scene> {
        let view = self.look(now).await?;
        let onchain = self.node.onchain().await.unwrap_or_else(|error| {
            tracing::warn!("what lies on-chain is unknown in this step and counts for nothing: {error}");
            None
        });
        let mut amounts = self.ledger.recent_amounts(AMOUNTS).await?;
        amounts.sort_unstable();
        let sums = self.ledger.move_sums(now.plus_hours(-BUDGET_HOURS)).await?;
        let funds = Funds {
            spent: sums.spent,
            reserved: sums.reserved,
            revenue: self.ledger.fees_since(now.plus_hours(1.0 - BUDGET_HOURS)).await?,
            onchain,
            outbound: view.channels.iter().filter(|channel| channel.routes()).map(|channel| channel.spendable).sum(),
            running: sums.open,
        };
        let past = self.ledger.closed_moves(now.plus_hours(-24.0 * PAST_DAYS)).await?;
        let rules = self.standing_rules(&view, &options).await?;
        Ok(Scene {
            flows: self.flows().await?,
            peers: self.peer_facts((&view, &rules), &amounts, &options).await?,
            amounts,
            past: past.iter().filter_map(past_move).collect(),
            new: self.ledger.channels_since(now.plus_hours(-24.0 * NEWCOMER_DAYS)).await?,
            open: self.ledger.open_moves().await?,
            jobs,
            budget: rebalance::budget(&funds, &limits(&options)),
            tuning: tuning(&options),
            rules,
            routes: self.known_routes(now),
            guesses: true,
            view,
            options,
        })
    }

    /// What pricing has learned of each peer's payers, and how its payments fare.
    async fn peer_facts(
        &self,
        (view, rules): (&NodeView, &Rules),
        amounts: &[Msat],
        options: &Options,
    ) -> anyhow::Result<BTreeMap<PeerId, PeerFacts>> {
        let memories = self.memories().await?;
        let market = Market {
            amounts: amounts.to_vec(),
            traffic: vec![1.0; 7 * 24],
            floor_multiplier: 1.0,
            sat_per_kvb: view.feerate.map(|feerate| feerate.sat_per_kvb),
            patience: fees::patience_of(self.kept_plan().await?.as_deref()),
        };
        let by_peer = view.priced_by_peer();
        let policies: Vec<_> = by_peer.iter().map(|(_, channels)| rules.of_all(channels)).collect();
        let planned = |((peer, channels), policy)| Planned { peer, channels, memory: memories.get(&peer), policy };
        let planned: Vec<Planned> = by_peer.into_iter().zip(policies.iter().map(|p| &**p)).map(planned).collect();
        let tuning = super::fee_cycle::tuning(options);
        let inputs = PlanInputs { now: view.now, peers: &planned, market: &market, tuning: &tuning, last: None };
        let wanted: HashMap<PeerId, fees::Wanted> = fees::wanted(&inputs).into_iter().collect();
        let reputations = match options.enable_reputation {
            true => self.ledger.reputations().await?,
            false => HashMap::new(),
        };
        let facts = |planned: &Planned| {
            let reputation =
                reputations.get(&planned.peer).map(|r: &Reputation| Share::clamped(super::fee_cycle::success_score(r)));
            let wanted = wanted.get(&planned.peer);
            let (other_per_day, other_days) = wanted.map_or((0.0, 0.0), |wanted| (wanted.other, wanted.other_days));
            let demand = wanted.and_then(|wanted| Some((wanted.demand.as_ref()?, wanted.lasts)));
            let wanted_per_day = demand.map(|(demand, _)| demand.out);
            let worth = demand.and_then(|(demand, lasts)| Worth::new(demand.worth.clone(), lasts));
            (planned.peer, PeerFacts { wanted_per_day, worth, other_per_day, other_days, reputation })
        };
        Ok(planned.iter().map(facts).collect())
    }

    async fn begin_all(&self, moves: &[Move], presence: &Presence, scene: &Scene) -> anyhow::Result<Vec<Begun>> {
        let there = matches!(presence, Presence::There(_));
        let Some(rebalancer) = self.rebalancer.as_deref().filter(|_| there) else { return Ok(vec![]) };
        let mut begun = Vec::new();
        for made in moves {
            begun.push(match scene.options.dry_run {
                true => {
                    tracing::info!("would rebalance (dry run): {made}");
                    Begun::Dry
                }
                false => self.begin(rebalancer, made, scene, false).await?,
            });
        }
        Ok(begun)
    }

    /// Within a second the books could not tell what belongs to which.
    async fn has_just_ended(&self, made: &Move, now: Time) -> anyhow::Result<bool> {
        let ended = self.ledger.closed_moves(now.plus_secs(-1)).await?;
        let same = |row: &MoveRow| (row.new.from, row.new.to) == (made.from, made.to);
        Ok(ended.iter().any(|row| same(row) && row.ended.is_some_and(|end| end.moved > Msat::ZERO)))
    }

    /// Writes the move down with its reservation, and then orders it.
    async fn begin(
        &self,
        rebalancer: &dyn Rebalancer,
        made: &Move,
        scene: &Scene,
        manual: bool,
    ) -> anyhow::Result<Begun> {
        let now = scene.view.now;
        let claimed = self.take_balance_from_clboss(now, &scene.options, [made.from_peer, made.to_peer]).await;
        match claimed {
            Err(error) if !manual => return Ok(Begun::Refused(format!("{error:#}"))),
            Err(error) => tracing::warn!("{made} is ordered by hand all the same: {error:#}"),
            Ok(()) => {}
        }
        if self.has_just_ended(made, now).await? {
            let why =
                "a move between the same channels ended a moment ago, and the node's books count in seconds: try again";
            return Ok(Begun::Refused(why.to_owned()));
        }
        // Without knowing what was counted before, nobody could tell what the move has brought.
        let known = async {
            let before = rebalancer.tally(made.order.to).await?;
            Ok::<_, NodeError>((before, rebalancer.booked(made.from, made.to, Time(0)).await?))
        };
        let (before, booked) = match known.await {
            Ok(known) => known,
            Err(error) => return Ok(Begun::Refused(error.to_string())),
        };
        let new = NewMove {
            at: now,
            from: made.from,
            to: made.to,
            from_peer: made.from_peer,
            to_peer: made.to_peer,
            order: made.order,
            reserved: made.reserved,
            profit_msat: to_i64_rounded(made.numbers.profit),
            manual,
            summary: made.to_string(),
            before,
            booked,
        };
        let since = now.plus_hours(-BUDGET_HOURS);
        let Some(id) = self.ledger.reserve_move(&new, scene.budget.limit, since).await? else {
            return Ok(Begun::Refused("the budget has no room for it any more".to_owned()));
        };
        match rebalancer.begin(&made.order).await {
            Ok(()) => {
                self.ledger.move_begun(id).await?;
                tracing::info!("rebalance {id} begun: {made}");
                Ok(Begun::Started(id))
            }
            Err(error @ (NodeError::Unreachable { .. } | NodeError::Garbled { .. })) => {
                tracing::warn!("rebalance {id}: whether it has begun, the next step will tell: {error}");
                Ok(Begun::Unheard(id))
            }
            Err(error) => {
                let failure = Some(MoveFailure::Refused);
                self.ledger.close_move(id, &MoveEnd { at: now, moved: Msat::ZERO, spent: Msat::ZERO, failure }).await?;
                tracing::warn!("rebalance {id} was not begun: {error}");
                Ok(Begun::Refused(error.to_string()))
            }
        }
    }
}

impl Presence {
    /// What an operator should know of it; `None`: it is there, or was never meant to be.
    pub fn in_words(&self) -> Option<String> {
        match self {
            Presence::Never | Presence::There(_) => None,
            Presence::Missing => Some(
                "sling is not loaded: rebalancing is planned, and nothing is moved until it is (lightning-cli plugin start)"
                    .to_owned(),
            ),
            Presence::Unknown(error) => Some(format!("sling does not answer, so nothing is moved: {error}")),
        }
    }
}

impl Scene {
    fn with<T>(&self, ask: impl FnOnce(&RebalanceInputs) -> T) -> T {
        let routing = self.view.channels.iter().filter(|channel| channel.routes());
        let candidates: Vec<Candidate> = routing
            .map(|channel| {
                let policy = self.rules.of(channel);
                let unsent = channel.opener == Some(Side::Local) && channel.sent == Some(Msat::ZERO);
                Candidate {
                    channel,
                    flow: self.flows.get(&channel.channel_id).map(|(_, flow)| flow),
                    mode: policy.rebalance,
                    hive: policy.is_hive(),
                    newcomer: unsent && self.new.contains(&channel.channel_id),
                    busy: self.busy(channel),
                }
            })
            .collect();
        ask(&RebalanceInputs {
            now: self.view.now,
            channels: &candidates,
            peers: &self.peers,
            amounts: &self.amounts,
            past: &self.past,
            routes: &self.routes,
            guesses: self.guesses,
            budget: &self.budget,
            tuning: &self.tuning,
        })
    }

    fn busy(&self, channel: &crate::domain::Channel) -> Option<Busy> {
        let id = channel.channel_id;
        if self.open.iter().any(|row| row.new.from == id || row.new.to == id) {
            return Some(Busy::Us);
        }
        let theirs = |job: &&Job| Some(job.channel) == channel.scid && (job.standing || job.is_at_work());
        self.jobs.iter().find(theirs).map(|_| Busy::Others)
    }
}

fn past_move(row: &MoveRow) -> Option<PastMove> {
    let MoveEnd { at, moved, spent, failure } = row.ended?;
    Some(PastMove { ended: at, from: row.new.from_peer, to: row.new.to_peer, moved, spent, failure })
}

fn limits(options: &Options) -> Limits {
    let share = options.proportional_budget.then(|| Share::clamped(options.proportional_budget_pct));
    let (daily, wallet_reserve) = (Sat(options.daily_budget_sats), Sat(options.min_wallet_reserve));
    Limits { daily, share, wallet_reserve, jobs: options.max_concurrent_jobs }
}

fn tuning(options: &Options) -> Tuning {
    let msat = |sat: u64| Msat::from_sat(Sat(sat)).unwrap_or(Msat(u64::MAX));
    Tuning {
        min_profit: msat(options.rebalance_min_profit),
        min_profit_ppm: Some(Ppm(options.rebalance_min_profit_ppm)).filter(|ppm| *ppm > Ppm(0)),
        min_amount: Sat(options.rebalance_min_amount),
        max_amount: Sat(options.rebalance_max_amount),
        max_part: Sat(options.sling_chunk_size_sats),
        sold: Share::clamped(SOLD),
        fee_buffer: Ppm(options.inbound_fee_estimate_ppm),
        kelly: options.enable_kelly.then(|| Share::clamped(options.kelly_fraction)),
        hive_tolerance: msat(options.hive_rebalance_tolerance),
    }
}
