//! What the rule file says of every channel: the facts that rules look at are gathered here, and what is wanted is compared with what is
//! in force. What cannot be known leaves the channel as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::Context;

use super::rule_book::RuleBook;
use super::{Flows, Ops};
use crate::domain::{
    Activity, Chain, Channel, ChannelId, Costs, Facts, Graph, GraphPeer, Msat, NodeFacts, NodeView, PeerId, Policy,
    Ppm, Pricing, ROLLBACK, RebalanceMode, Ruling, Side, Source, Terms, TheirTerms, Time, Week,
};
use crate::ledger::Moved;
use crate::policy::rollback::Trial;
use crate::policy::{Capabilities, Held, Needs, Outcome, Resolution, RuleFile, Wanted, changes};

/// A peer's place in the graph is asked for again after so many hours.
const GRAPH_SERVES_HOURS: f64 = 6.0;
const WEEK_SECS: i64 = 7 * 86_400;

/// What the rules say, as of one step.
#[derive(Debug, Default)]
pub(super) enum Rulings {
    /// There is no rule file.
    #[default]
    None,
    /// There is one, and it has never been without errors.
    Unknown,
    By(HashMap<ChannelId, Policy>),
}

impl Rulings {
    pub(super) fn of(&self, channel: &ChannelId) -> Option<Policy> {
        match self {
            Rulings::None => None,
            Rulings::Unknown => Some(left_alone("passive", Source::Unusable)),
            Rulings::By(policies) => policies.get(channel).cloned(),
        }
    }
}

fn left_alone(strategy: &str, source: Source) -> Policy {
    let rebalance = RebalanceMode::Disabled;
    let said = [("strategy", strategy), ("rebalance_mode", rebalance.name())];
    let ruling = |(member, value): (&str, &str)| Ruling {
        source: source.clone(),
        member: member.to_owned(),
        value: value.to_owned(),
    };
    Policy { pricing: Pricing::Untouched, rebalance, trail: said.map(ruling).into(), ..Policy::default() }
}

/// Everything that the channels are judged by.
struct Surroundings {
    node: NodeFacts,
    weeks: HashMap<ChannelId, Moved>,
    moved: BTreeMap<i64, HashMap<ChannelId, Moved>>,
    /// `None` for a peer whom the graph was asked about in vain.
    graph: HashMap<PeerId, Option<GraphPeer>>,
    costs: HashMap<ChannelId, Option<Msat>>,
    flows: Flows,
    tags: HashMap<PeerId, BTreeSet<String>>,
}

impl Ops {
    /// The word of the rule file on all channels that route.
    pub(super) async fn rulings(&self, view: &NodeView, book: &RuleBook, hive_fee: Ppm) -> anyhow::Result<Rulings> {
        Ok(self.rulings_of(view, book, hive_fee, None).await?.0)
    }

    /// The same, and how the rule file comes to its word on one of them, section by section.
    pub(super) async fn rulings_of(
        &self,
        view: &NodeView,
        book: &RuleBook,
        hive_fee: Ppm,
        explain: Option<ChannelId>,
    ) -> anyhow::Result<(Rulings, Option<(Resolution, Facts)>)> {
        let Some(file) = &book.file else {
            return Ok((if book.path.is_some() { Rulings::Unknown } else { Rulings::None }, None));
        };
        let channels: Vec<&Channel> = view.channels.iter().filter(|channel| channel.routes()).collect();
        let (around, facts) = self.gather(view, &channels, file.periods(), file.needs()).await?;
        let trials = self.trials().await?;
        let mut policies = HashMap::with_capacity(facts.len());
        for (channel, facts) in channels.iter().zip(&facts) {
            let trial = trials.get(&channel.channel_id).map(|trial| (trial, view.now));
            let policy = match around.unseen(file.needs(), channel) {
                Some(_) => Some(left_alone("passive", Source::Blind)),
                None => word(&file.resolve(facts, &around.node), facts, hive_fee, trial),
            };
            policies.extend(policy.map(|policy| (channel.channel_id, policy)));
        }
        let place = channels.iter().position(|channel| Some(channel.channel_id) == explain);
        let explained = place.map(|at| {
            let (channel, resolution) = (channels[at], file.explain(&facts[at], &around.node));
            let resolution = match around.unseen(file.needs(), channel) {
                Some(what) => resolution.unheard(what),
                None => as_kept_back(resolution, trials.get(&channel.channel_id).map(|trial| (trial, view.now))),
            };
            (resolution, facts[at].clone())
        });
        Ok((Rulings::By(policies), explained))
    }

    /// Channels that the rules leave alone only because the node did not tell what they ask for.
    pub(super) fn blind_in_words(&self) -> Option<String> {
        let rulings = self.last_rulings();
        let Rulings::By(policies) = &*rulings else { return None };
        let blind = policies.values().filter(|policy| policy.is_unheard()).count();
        let needs = self.last_rules().and_then(|book| book.file.as_ref().map(RuleFile::needs)).unwrap_or_default();
        (blind > 0).then(|| {
            let count = match blind {
                1 => "1 channel is left as it is".to_owned(),
                more => format!("{more} channels are left as they are"),
            };
            format!(
                "{count} by the rule file, which asks for {}: the node did not tell it, and until it does nothing is \
                 changed there",
                needs.in_words()
            )
        })
    }

    async fn gather(
        &self,
        view: &NodeView,
        channels: &[&Channel],
        periods: Vec<i64>,
        needs: Needs,
    ) -> anyhow::Result<(Surroundings, Vec<Facts>)> {
        let chain = self.chain().await.context("asking the node for the chain, for the rule file")?;
        let mut moved = BTreeMap::new();
        for period in periods {
            moved.insert(period, self.ledger.moved(view.now, period).await?);
        }
        let peers = self.policies().await?;
        let tags = peers.values().map(|policy| (policy.peer, policy.tags.iter().cloned().collect()));
        let mut around = Surroundings {
            node: NodeFacts {
                height: chain.height,
                synced: Some(chain.synced),
                feerates: chain.feerates,
                ..NodeFacts::default()
            },
            weeks: self.ledger.moved(view.now, WEEK_SECS).await?,
            moved,
            graph: if needs.graph { self.graph(view.now, channels).await } else { HashMap::new() },
            costs: if needs.costs { self.opening_costs(channels).await } else { HashMap::new() },
            flows: self.flows().await?,
            tags: tags.collect(),
        };
        let mut facts: Vec<Facts> = channels.iter().filter_map(|channel| around.facts(channel)).collect();
        anyhow::ensure!(facts.len() == channels.len(), "a channel that routes has no short channel id");
        around.node.gather(&mut facts);
        Ok((around, facts))
    }

    /// The chain as it is now, or as it was when it was told last: blocks come slowly, and pricing does not wait for an answer.
    async fn chain(&self) -> anyhow::Result<Chain> {
        match self.node.chain().await {
            Ok(chain) => {
                self.seen.change(|seen| seen.chain = Some(chain.clone()));
                Ok(chain)
            }
            Err(error) => match self.seen.read(|seen| seen.chain.clone()) {
                Some(known) => {
                    tracing::warn!("rules are judged by the chain as it was told last: {error}");
                    Ok(known)
                }
                None => Err(error.into()),
            },
        }
    }

    /// The peers in the public graph: from memory for some hours, then asked for anew.
    async fn graph(&self, now: Time, channels: &[&Channel]) -> HashMap<PeerId, Option<GraphPeer>> {
        let mut known = self.seen.read(|seen| seen.graph.clone());
        let peers: BTreeSet<PeerId> = channels.iter().map(|channel| channel.peer).collect();
        let mut found = HashMap::with_capacity(peers.len());
        for peer in peers {
            let fresh = known.get(&peer).filter(|(at, _)| (0.0..GRAPH_SERVES_HOURS).contains(&now.hours_since(*at)));
            if fresh.is_none() {
                match self.node.peer_in_graph(peer).await {
                    Ok(told) => drop(known.insert(peer, (now, Arc::new(told)))),
                    Err(error) => tracing::warn!("the public graph was asked for {peer} in vain: {error}"),
                }
            }
            // What was known before serves where nobody answers now.
            found.insert(peer, known.get(&peer).map(|(_, told)| (**told).clone()));
        }
        self.seen.change(|seen| seen.graph = known);
        found
    }

    /// What openings have cost does not change: asked for once.
    async fn opening_costs(&self, channels: &[&Channel]) -> HashMap<ChannelId, Option<Msat>> {
        let mut known = self.seen.read(|seen| seen.costs.clone());
        for channel in channels.iter().filter(|channel| channel.opener == Some(Side::Local)) {
            if known.contains_key(&channel.channel_id) {
                continue;
            }
            match self.node.opening_cost(channel.channel_id).await {
                Ok(cost) => drop(known.insert(channel.channel_id, cost)),
                Err(error) => tracing::warn!("what the opening of {} cost is not known: {error}", channel.channel_id),
            }
        }
        self.seen.change(|seen| seen.costs = known.clone());
        known
    }
}

impl Surroundings {
    /// What the rules ask for and nobody told. A rule that could not be judged is not a rule that does not match.
    fn unseen(&self, needs: Needs, channel: &Channel) -> Option<&'static str> {
        if needs.graph && self.graph.get(&channel.peer).is_none_or(Option::is_none) {
            return Some(Needs::GRAPH);
        }
        let ours = channel.opener == Some(Side::Local);
        (needs.costs && ours && !self.costs.contains_key(&channel.channel_id)).then_some(Needs::COSTS)
    }

    fn facts(&self, channel: &Channel) -> Option<Facts> {
        let id = &channel.channel_id;
        let facts = Facts::of(channel)?;
        let peer = self.graph.get(&channel.peer).and_then(Option::as_ref);
        let disabled = peer.map(|peer| peer.disabled.contains(&facts.scid));
        let activity = |(period, moved): (&i64, &HashMap<ChannelId, Moved>)| {
            (*period, activity(moved.get(id).copied().unwrap_or_default()))
        };
        let week = self.weeks.get(id).copied().unwrap_or_default();
        Some(Facts {
            alias: peer.and_then(|peer| peer.alias.clone()),
            theirs: facts.theirs.map(|theirs| TheirTerms { disabled, ..theirs }),
            peer_in_graph: peer.map_or(Graph::Unread, |peer| peer.graph),
            activity: self.moved.iter().map(activity).collect(),
            week: Some(Week {
                in_sat: week.in_msat / 1000,
                out_sat: week.out_msat / 1000,
                earned_sat: week.earned_msat / 1000,
            }),
            flow: self.flows.get(id).map(|(_, flow)| flow.class),
            tags: self.tags.get(&channel.peer).cloned().unwrap_or_default(),
            costs: Costs { opening: self.costs.get(id).copied().flatten().map(Msat::sat_floor), ..Costs::default() },
            ..facts
        })
    }
}

fn activity(moved: Moved) -> Activity {
    Activity {
        htlcs_in: moved.in_count,
        htlcs_out: moved.out_count,
        in_sat: moved.in_msat / 1000,
        out_sat: moved.out_msat / 1000,
    }
}

/// What the rule wants once more after it was taken back is not done: the rate before it stays, however small the difference.
fn keep_back(wanted: &mut Wanted, policy: &mut Policy, resolution: &Resolution, trial: Option<(&Trial, Time)>) {
    let (Some((trial, now)), Some(ppm), Some(_)) = (trial, wanted.ppm, policy.rollback) else { return };
    let Some(kept) = trial.keeps(ppm, now).map(|kept| resolution.rollback.within(i64::from(kept.0))) else { return };
    let Ok(rate) = u32::try_from(kept) else { return };
    (wanted.ppm, wanted.min_delta) = (Some(kept), None);
    policy.terms.ppm = Some(Ppm(rate));
    let source = policy.trail.iter().rev().find(|ruling| ruling.member == "strategy").map(|r| r.source.clone());
    let value = trial.in_words().unwrap_or_default();
    policy.trail.push(Ruling { source: source.unwrap_or(Source::Default), member: ROLLBACK.to_owned(), value });
}

/// The same in what is told of the rules: the rate that they want is not the one that is set.
fn as_kept_back(resolution: Resolution, trial: Option<(&Trial, Time)>) -> Resolution {
    let (Outcome::Wanted(mut wanted), Some(mut policy)) = (resolution.outcome.clone(), resolution.policy()) else {
        return resolution;
    };
    let asked = wanted.ppm;
    keep_back(&mut wanted, &mut policy, &resolution, trial);
    let why = policy.trail.into_iter().find(|ruling| ruling.member == ROLLBACK);
    let (Some(from), Some(to), Some(why)) = (asked, wanted.ppm, why) else { return resolution };
    let mut kept = Resolution { outcome: Outcome::Wanted(wanted), ..resolution };
    kept.held_back.push(Held { key: "fee_ppm", from, to, why: why.value });
    kept
}

/// What the rules want, as a policy that changes only what is worth it.
fn word(resolution: &Resolution, facts: &Facts, hive_fee: Ppm, trial: Option<(&Trial, Time)>) -> Option<Policy> {
    let mut policy = resolution.policy()?;
    let mut wanted = match &resolution.outcome {
        Outcome::Wanted(wanted) => *wanted,
        Outcome::Controller { rest, .. } => *rest,
        Outcome::Unruled | Outcome::Untouched | Outcome::Skipped(_) => return Some(policy),
    };
    // The fleet's fee is the option's, unless the section names another.
    let is_named = policy.trail.iter().any(|ruling| ruling.member == "fee_ppm");
    if resolution.strategy.as_deref() == Some("hive") && !is_named {
        wanted.ppm = Some(i64::from(hive_fee.0));
    }
    keep_back(&mut wanted, &mut policy, resolution, trial);
    let update = changes(&facts.ours, facts.active, &wanted, Capabilities::CORE_LIGHTNING);
    let ppm = policy.terms.ppm.is_some();
    match update.terms.map(|terms| terms.terms()) {
        Some(Ok(terms)) => policy.terms = terms,
        Some(Err(what)) => {
            tracing::warn!("{}: the rule file wants what no channel can have: {what}", facts.scid);
            return Some(Policy { pricing: Pricing::Untouched, ..policy });
        }
        // Nothing that is worth a change: what is in force is what is wanted. The base fee is named all the same, because no other word on
        // it may be told in its place.
        None => policy.terms = Terms { base: policy.terms.base, ..Terms::default() },
    }
    if ppm && policy.pricing == Pricing::Exact {
        policy.terms.ppm.get_or_insert(facts.ours.ppm);
    }
    Some(policy)
}
