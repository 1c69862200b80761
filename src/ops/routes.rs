//! What ways between our peers cost by the node's own search: asked for before anything is spent where our own moves do not tell enough, a
//! few at a time, and kept for some hours. What cannot be told stays unknown.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Ops;
use crate::domain::{Channel, ChannelId, Msat, NodeView, Scid, Time};
use crate::node::NodeError;
use crate::rebalance::{Move, Plan, Reason, Refusal, Route, Tuning};

/// Searches of one step: on the whole public graph each takes the node a while.
pub(super) const MOST_ASKED: usize = 12;
/// Fees on the way change within hours.
const SERVE_HOURS: f64 = 3.0;

/// (drained, filled)
pub(super) type Pair = (ChannelId, ChannelId);
/// What was found, and when.
pub(super) type Asked = HashMap<Pair, (Time, Route)>;
pub(super) type Routes = BTreeMap<Pair, Route>;

/// How far the node has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// For all that it was asked about.
    Wholly,
    /// The rest has to wait for another step.
    Partly,
    /// It looks for no routes.
    Never,
}

impl Ops {
    /// What is known without asking.
    pub(super) fn known_routes(&self, now: Time) -> Routes {
        self.seen.change(|seen| {
            seen.routes.retain(|_, (at, _)| (0.0..SERVE_HOURS).contains(&now.hours_since(*at)));
            seen.routes.iter().map(|(pair, (_, route))| (*pair, *route)).collect()
        })
    }

    /// Looks for routes of at most so many pairs. A node that does not answer is not asked again in this step.
    pub(super) async fn ask_routes(
        &self,
        (view, tuning): (&NodeView, &Tuning),
        pairs: &[Pair],
        most: usize,
        routes: &mut Routes,
    ) -> Looked {
        for pair in pairs.iter().take(most) {
            if routes.contains_key(pair) {
                continue;
            }
            let found = match self.ask_route(view, pair, tuning).await {
                Ok(found) => found.unwrap_or(Route::None),
                Err(NodeError::Unsupported { .. }) => return Looked::Never,
                Err(error) => {
                    tracing::warn!("what routes cost is not known in this step: {error}");
                    return Looked::Partly;
                }
            };
            self.seen.change(|seen| seen.routes.insert(*pair, (view.now, found)));
            routes.insert(*pair, found);
        }
        if pairs.len() <= most { Looked::Wholly } else { Looked::Partly }
    }

    /// From peer to peer, and from the last one to us; `None`: there is none.
    async fn ask_route(&self, view: &NodeView, pair: &Pair, tuning: &Tuning) -> Result<Option<Route>, NodeError> {
        let of = |id: ChannelId| view.channels.iter().find(|channel| channel.channel_id == id);
        let (Some(from), Some(to)) = (of(pair.0), of(pair.1)) else { return Ok(None) };
        let Some(amount) = part(from, to, tuning) else { return Ok(None) };
        let Some(theirs) = to.theirs else { return Ok(None) };
        let Some(last) = theirs.ppm.fee_floor(amount).checked_add(theirs.base) else { return Ok(None) };
        let Some(arrives) = amount.checked_add(last) else { return Ok(None) };
        let way = self.node.way(from.peer, to.peer, arrives).await?;
        Ok(way.and_then(|way| way.checked_add(last)).map(|fee| Route::Costs { amount, fee }))
    }
}

/// What rests on a guess of what a route costs: moves, and what came near to being one.
pub(super) trait Guessed {
    fn guessed(&self, view: &NodeView) -> Vec<Pair>;
}

impl Guessed for Plan {
    fn guessed(&self, view: &NodeView) -> Vec<Pair> {
        let moves = self.moves.iter().filter_map(guessed_move);
        let near = self.refused.iter().filter_map(|refusal| guessed_refusal(refusal, view));
        let mut once = BTreeSet::new();
        moves.chain(near).filter(|pair| once.insert(*pair)).collect()
    }
}

impl Guessed for Result<Move, Refusal> {
    fn guessed(&self, view: &NodeView) -> Vec<Pair> {
        let pair = self.as_ref().map_or_else(|refusal| guessed_refusal(refusal, view), guessed_move);
        pair.into_iter().collect()
    }
}

fn guessed_move(made: &Move) -> Option<Pair> {
    made.numbers.basis.is_guess().then_some((made.from, made.to))
}

fn guessed_refusal(refusal: &Refusal, view: &NodeView) -> Option<Pair> {
    let (Reason::TooDear { basis, .. } | Reason::Profit { basis, .. }) = refusal.why else { return None };
    if !basis.is_guess() {
        return None;
    }
    let id =
        |scid: Scid| view.channels.iter().find(|channel| channel.scid == Some(scid)).map(|channel| channel.channel_id);
    Some((id(refusal.with?)?, refusal.channel?))
}

/// As much as one part of a move would be.
fn part(from: &Channel, to: &Channel, tuning: &Tuning) -> Option<Msat> {
    let amount = Msat::from_sat(tuning.max_part)?.min(from.spendable).min(to.room());
    (amount > Msat::ZERO).then_some(amount)
}
