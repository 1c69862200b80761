//! Which moves of liquidity between our channels earn more than they cost, and why the others do not. Pure; never moves anything,
//! never reads a clock, a node or a ledger.

mod breaker;
mod budget;
mod choice;
mod cost;
mod demand;
pub mod life;
mod offer;
mod reason;
mod sides;
#[cfg(test)]
mod tests;
mod worth;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{
    Channel, ChannelId, Flow, MoveFailure, MoveOrder, Msat, PeerId, Ppm, RebalanceMode, Sat, Scid, Share, Time,
};

pub use budget::{Budget, Funds, Limits, Stop, budget, reservation};
pub use reason::{Reason, Refusal, Role};
pub use worth::Worth;

/// All that a plan looks at.
#[derive(Clone, Debug)]
pub struct RebalanceInputs<'a> {
    pub now: Time,
    /// The channels that route.
    pub channels: &'a [Candidate<'a>],
    /// By peer, because Core Lightning forwards over any of several channels with equal fees.
    pub peers: &'a BTreeMap<PeerId, PeerFacts>,
    /// Amounts of the last forwards of the whole node.
    pub amounts: &'a [Msat],
    /// Our own moves of late, oldest first.
    pub past: &'a [PastMove],
    /// What the node's search has found, for the pairs that it was asked about: (drained, filled).
    pub routes: &'a BTreeMap<(ChannelId, ChannelId), Route>,
    /// May a move rest on a guess of what it costs? Not where the node could look for a route.
    pub guesses: bool,
    pub budget: &'a Budget,
    pub tuning: &'a Tuning,
}

/// One channel that liquidity may be moved to or from.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub channel: &'a Channel,
    /// `None` before the first flow analysis.
    pub flow: Option<&'a Flow>,
    pub mode: RebalanceMode,
    /// The peer belongs to our hive.
    pub hive: bool,
    /// Opened by us so lately that nobody can know yet what it will earn.
    pub newcomer: bool,
    pub busy: Option<Busy>,
}

/// Who is at work on a channel already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    Us,
    /// A job that somebody else gave to the rebalancer.
    Others,
}

/// What is known of a peer beside its channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerFacts {
    /// Msat a day that would leave by its channels at the fee in force, if there were balance for all of it; `None`: nothing has been
    /// learned.
    pub wanted_per_day: Option<f64>,
    /// What may leave by its channels (msat a day, rising), and what the next of it earns (ppm, falling) if the fee always follows;
    /// `None`: nothing has been learned.
    pub worth: Option<Worth>,
    /// Msat a day that come in by other ways than forwards and moves; negative: that leave.
    pub other_per_day: f64,
    /// Days for which that was watched.
    pub other_days: f64,
    /// How often payments that it brought got through; `None`: it is not to be weighed.
    pub reputation: Option<Share>,
}

/// One move of ours that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastMove {
    pub ended: Time,
    pub from: PeerId,
    pub to: PeerId,
    /// What came across, and what it cost; a move that failed on the way may have brought a part.
    pub moved: Msat,
    pub spent: Msat,
    pub failure: Option<MoveFailure>,
}

/// What a search for a route has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    None,
    /// So much for that amount.
    Costs {
        amount: Msat,
        fee: Msat,
    },
}

/// The few options that a plan needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    pub min_profit: Msat,
    /// In its place, if it is given: so much of the amount.
    pub min_profit_ppm: Option<Ppm>,
    pub min_amount: Sat,
    pub max_amount: Sat,
    /// Larger moves are made in parts.
    pub max_part: Sat,
    /// Of the price of a channel whose payers nobody knows, what a satoshi earns that is added: more balance is sold by asking less.
    pub sold: Share,
    /// What the network takes beside the last peer's fee, where nothing better is known.
    pub fee_buffer: Ppm,
    /// Fraction of the Kelly size; `None`: moves are as large as is best.
    pub kelly: Option<Share>,
    /// What a move toward a hive peer may lose.
    pub hive_tolerance: Msat,
}

/// What is to be moved, best first, and what is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub moves: Vec<Move>,
    pub refused: Vec<Refusal>,
}

/// One move that is worth its cost. Rates are per million of the amount; values are estimates, in msat.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub from: ChannelId,
    pub to: ChannelId,
    pub from_peer: PeerId,
    pub to_peer: PeerId,
    pub order: MoveOrder,
    /// What the move may cost at most: reserved before it begins.
    pub reserved: Msat,
    pub numbers: Numbers,
}

/// What a move was judged by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Numbers {
    /// The chance that it comes about.
    pub chance: f64,
    /// What the balance is worth where it goes to minus what it is worth where it is.
    pub value: f64,
    pub cost: f64,
    pub basis: Basis,
    /// chance x (value - cost).
    pub profit: f64,
    /// The difference of the two prices after the last part, ppm: nothing may cost more.
    pub difference: f64,
    /// The balance (msat) of the filled channel at which it is worth no more than the going cost of filling it.
    pub target: f64,
    /// It may lose, for the hive's sake.
    pub strategic: bool,
}

/// Where an expected cost comes from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Basis {
    /// Own moves of the same pair of peers. `guessed`: they are few, and what the last peer asks has a part in it as well.
    Pair { moves: usize, guessed: bool },
    /// Own moves toward the same peer.
    Peer { moves: usize, guessed: bool },
    /// The node's own search for a route.
    Route,
    /// A guess: what the peer asks, and a buffer for the rest of the way.
    PeerFee,
}

/// Every move that is worth its cost, within the budget; and for every channel that could have had one why it has none.
pub fn plan(i: &RebalanceInputs) -> Plan {
    let mut refused = Vec::new();
    let fills = sides::fills(i, &mut refused);
    let drains = sides::drains(i, &mut refused);
    let offers = choice::offers(i, &fills, &drains, &mut refused);
    let moves = choice::accepted(i, i.budget.room, offers, &mut refused);
    refused.sort_by_key(|refusal| (refusal.channel, refusal.role));
    Plan { moves, refused }
}

/// One move that somebody wants, judged as if it were the plan's own idea. `force` lets the expected profit pass, never the budget.
pub fn by_hand(i: &RebalanceInputs, wanted: &Wanted) -> Result<Move, Refusal> {
    choice::by_hand(i, wanted)
}

/// The best move that fills that channel and costs no more than that, whatever others would be better.
pub fn best_for(i: &RebalanceInputs, to: Scid, max_fee: Option<Sat>) -> Result<Move, Refusal> {
    choice::best_for(i, to, max_fee)
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub from: Scid,
    pub to: Scid,
    pub amount: Sat,
    pub max_fee: Option<Sat>,
    pub force: bool,
}

impl RebalanceInputs<'_> {
    fn with_peer(&self, peer: PeerId) -> impl Iterator<Item = &Candidate<'_>> {
        self.channels.iter().filter(move |candidate| candidate.channel.peer == peer)
    }

    /// Msat on our side of all channels with the peer that can be sent.
    fn spendable(&self, peer: PeerId) -> f64 {
        self.with_peer(peer).map(|candidate| candidate.channel.spendable.as_f64()).sum()
    }
}
