//! What ways between our peers cost by the node's own search: asked for where our own moves say nothing, a few at a time, and kept for some
//! hours. What cannot be told stays unknown.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Ops;
use crate::domain::{Channel, ChannelId, Msat, NodeView, Scid, Time};
use crate::node::NodeError;
use crate::rebalance::{Basis, Plan, Reason, RouteCost, Tuning};

/// A search on the whole public graph takes the node a while.
const MOST_ASKED: usize = 12;
/// Fees on the way change within hours.
const SERVE_HOURS: f64 = 3.0;

/// (drained, filled)
pub(super) type Pair = (ChannelId, ChannelId);
/// What was found, and when; `None`: there was no way.
pub(super) type Asked = HashMap<Pair, (Time, Option<RouteCost>)>;
pub(super) type Routes = BTreeMap<Pair, RouteCost>;

impl Ops {
    /// What is known without asking.
    pub(super) fn known_routes(&self, now: Time) -> Routes {
        self.seen.change(|seen| {
            seen.routes.retain(|_, (at, _)| (0.0..SERVE_HOURS).contains(&now.hours_since(*at)));
            seen.routes.iter().filter_map(|(pair, (_, cost))| Some((*pair, (*cost)?))).collect()
        })
    }

    /// Asks about those pairs that were not asked about lately; answers whether anything was learned. A node that does not answer is not
    /// asked again in this step.
    pub(super) async fn ask_routes(
        &self,
        view: &NodeView,
        pairs: &[Pair],
        tuning: &Tuning,
        routes: &mut Routes,
    ) -> bool {
        let mut learned = false;
        for pair in pairs.iter().take(MOST_ASKED) {
            if self.seen.read(|seen| seen.routes.contains_key(pair)) {
                continue;
            }
            let found = match self.ask_route(view, pair, tuning).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!("what routes cost is not known in this step: {error}");
                    break;
                }
            };
            self.seen.change(|seen| seen.routes.insert(*pair, (view.now, found)));
            if let Some(cost) = found {
                routes.insert(*pair, cost);
                learned = true;
            }
        }
        learned
    }

    /// From peer to peer, and from the last one to us.
    async fn ask_route(&self, view: &NodeView, pair: &Pair, tuning: &Tuning) -> Result<Option<RouteCost>, NodeError> {
        let of = |id: ChannelId| view.channels.iter().find(|channel| channel.channel_id == id);
        let (Some(from), Some(to)) = (of(pair.0), of(pair.1)) else { return Ok(None) };
        let Some(amount) = part(from, to, tuning) else { return Ok(None) };
        let Some(theirs) = to.theirs else { return Ok(None) };
        let Some(last) = theirs.ppm.fee_floor(amount).checked_add(theirs.base) else { return Ok(None) };
        let Some(arrives) = amount.checked_add(last) else { return Ok(None) };
        let way = self.node.way(from.peer, to.peer, arrives).await?;
        Ok(way.and_then(|way| way.checked_add(last)).map(|fee| RouteCost { amount, fee }))
    }
}

/// Pairs whose cost was guessed from one peer's fee: those that would be moved between, and those that came near.
pub(super) fn guessed(plan: &Plan, view: &NodeView) -> Vec<Pair> {
    let id =
        |scid: Scid| view.channels.iter().find(|channel| channel.scid == Some(scid)).map(|channel| channel.channel_id);
    let made = plan.moves.iter().filter(|made| made.numbers.basis == Basis::PeerFee).map(|made| (made.from, made.to));
    let near = plan.refused.iter().filter_map(|refusal| match refusal.why {
        Reason::TooDear { basis: Basis::PeerFee, .. } | Reason::Profit { basis: Basis::PeerFee, .. } => {
            Some((id(refusal.with?)?, refusal.channel?))
        }
        _ => None,
    });
    let mut once = BTreeSet::new();
    made.chain(near).filter(|pair| once.insert(*pair)).collect()
}

/// As much as one part of a move would be.
fn part(from: &Channel, to: &Channel, tuning: &Tuning) -> Option<Msat> {
    let amount = Msat::from_sat(tuning.max_part)?.min(from.spendable).min(to.room());
    (amount > Msat::ZERO).then_some(amount)
}
