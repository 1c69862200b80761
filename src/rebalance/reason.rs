//! Why a move is made or not, in types and in words. Never decides.

use std::fmt;

use serde::Serialize;

use super::{Basis, Move, Numbers, Plan, Stop};
use crate::domain::{Channel, ChannelId, MoveFailure, Msat, RebalanceMode, Sat, Scid, Time};

/// Why one channel takes part in no move.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refusal {
    /// `None`: there is no such channel.
    pub channel: Option<ChannelId>,
    pub scid: Option<Scid>,
    pub role: Role,
    /// The other channel of the move that came nearest.
    pub with: Option<Scid>,
    pub why: Reason,
}

/// What a channel would have been used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Fill,
    Drain,
}

/// Rates are ppm, values are msat.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    Unknown,
    Policy {
        mode: RebalanceMode,
    },
    NotRouting,
    Offline,
    UnderWay,
    ForeignJob,
    NoRoom {
        msat: f64,
        least: Sat,
    },
    DemandUnknown,
    NoDemand,
    NoSource,
    SamePeer,
    CostUnknown,
    /// The node has looked and found none.
    NoRoute,
    /// Worth its cost if that is what it seems; nobody has looked yet.
    Unsearched {
        profit: f64,
    },
    Futile {
        failures: usize,
        kind: MoveFailure,
        until: Time,
    },
    BackOff {
        failures: usize,
        kind: MoveFailure,
        until: Time,
    },
    TooDear {
        difference: f64,
        cost: f64,
        basis: Basis,
    },
    TooSmall {
        sat: Sat,
        least: Sat,
    },
    Profit {
        profit: f64,
        least: f64,
        basis: Basis,
    },
    Kelly {
        chance: f64,
        odds: f64,
    },
    Taken {
        profit: f64,
    },
    NoSlot {
        profit: f64,
    },
    NoMoney {
        needed: Msat,
        room: Msat,
    },
    Budget {
        stop: Stop,
        profit: f64,
    },
}

impl Refusal {
    pub(super) fn of(channel: &Channel, role: Role, why: Reason) -> Refusal {
        Refusal { channel: Some(channel.channel_id), scid: channel.scid, role, with: None, why }
    }

    pub(super) fn unknown(scid: Scid, role: Role) -> Refusal {
        Refusal { channel: None, scid: Some(scid), role, with: None, why: Reason::Unknown }
    }
}

impl Reason {
    /// Of two pairs that are not worth it the one that lacks less tells more.
    pub(super) fn nearness(&self) -> f64 {
        match self {
            Reason::BackOff { .. } => f64::MAX,
            Reason::Unsearched { profit } => 1e12 + profit,
            Reason::Profit { profit, least, .. } => 1e9 + profit - least,
            Reason::TooSmall { .. } | Reason::Kelly { .. } => 1e9,
            Reason::TooDear { difference, cost, .. } => difference - cost,
            _ => f64::NEG_INFINITY,
        }
    }
}

/// Whole satoshis of an estimate.
fn sat(msat: f64) -> String {
    format!("{:.0} sat", msat / 1000.0)
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Basis::Pair { moves, .. } => write!(f, "after {moves} own moves of this pair"),
            Basis::Peer { moves, .. } => write!(f, "after {moves} own moves toward this peer"),
            Basis::Route => f.write_str("by the node's search for routes"),
            Basis::PeerFee => f.write_str("by the peer's fee and a buffer"),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::WalletReserve { have, need } => {
                write!(f, "{} on-chain and outbound, below the reserve of {}", have.sat_floor(), need.sat_floor())
            }
            Stop::Spent { spent, reserved, limit } => write!(
                f,
                "{} spent in 24 hours and {} reserved, of {}",
                spent.sat_floor(),
                reserved.sat_floor(),
                limit.sat_floor()
            ),
            Stop::Jobs { running, most } => write!(f, "{running} moves are under way, of {most} at a time"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Fill => "not filled",
            Role::Drain => "not drained",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.scid, self.channel) {
            (Some(scid), _) => write!(f, "{scid}")?,
            (None, Some(channel)) => write!(f, "{channel}")?,
            (None, None) => {}
        }
        write!(f, " {}", self.role)?;
        if let Some(with) = self.with {
            write!(f, " from {with}")?;
        }
        write!(f, ": {}", self.why)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Unknown => f.write_str("the node has no such channel that routes"),
            Reason::Policy { mode } => f.write_str(match mode {
                RebalanceMode::SourceOnly => "its policy says source_only",
                RebalanceMode::SinkOnly => "its policy says sink_only",
                _ => "its policy says disabled",
            }),
            Reason::NotRouting => f.write_str("it does not route now"),
            Reason::Offline => f.write_str("its peer is not connected"),
            Reason::UnderWay => f.write_str("a move is under way with its peer"),
            Reason::ForeignJob => f.write_str("the rebalancer has a job for it that is not ours"),
            Reason::NoRoom { msat, least } => write!(f, "{} can be moved, less than {least}", sat(*msat)),
            Reason::DemandUnknown => f.write_str("what is wanted of it is not known yet"),
            Reason::NoDemand => f.write_str("nobody wants what it could send"),
            Reason::NoSource => f.write_str("there is no channel to drain for it"),
            Reason::SamePeer => f.write_str("both channels are with the same peer"),
            Reason::CostUnknown => f.write_str("what a route would cost is not known"),
            Reason::NoRoute => f.write_str("the node has looked for a route and found none"),
            Reason::Unsearched { profit } => {
                write!(f, "would earn {}, but nobody has looked for a route yet", sat(*profit))
            }
            Reason::Futile { failures, kind, until } => {
                write!(f, "{failures} moves in a row have failed (the last: {kind}); no further one before {until}")
            }
            Reason::BackOff { failures, kind, until } => {
                write!(f, "the last move has failed ({kind}, {failures} in a row); no further one before {until}")
            }
            Reason::TooDear { difference, cost, basis, .. } => {
                write!(f, "worth {difference:.0} ppm more there than here, and moving it costs {cost:.0} ppm {basis}")
            }
            Reason::TooSmall { sat, least } => write!(f, "{sat} would be best, less than {least}"),
            Reason::Profit { profit, least, basis, .. } => {
                write!(f, "it would earn {} ({basis}), and {} is the least", sat(*profit), sat(*least))
            }
            Reason::Kelly { chance, odds } => {
                write!(f, "the odds are {odds:.2} to 1 at a chance of {:.0} %: Kelly stakes nothing", chance * 100.0)
            }
            Reason::Taken { profit } => write!(f, "would earn {}, but a better move has its peer", sat(*profit)),
            Reason::NoSlot { profit } => write!(f, "would earn {}, but better moves have all slots", sat(*profit)),
            Reason::NoMoney { needed, room } => {
                write!(f, "needs a reservation of {needed}, and {room} of the budget is left")
            }
            Reason::Budget { stop, profit } => write!(f, "would earn {}, but {stop}", sat(*profit)),
        }
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Numbers { chance, value, cost, basis, profit, target, strategic, .. } = &self.numbers;
        let order = &self.order;
        write!(f, "{} -> {}: {} at {} or less", order.from, order.to, order.amount, order.max)?;
        write!(f, " (worth {}, costs {} {basis}, chance {:.0} %: ", sat(*value), sat(*cost), chance * 100.0)?;
        write!(f, "earns {}; fills up to {}", sat(*profit), sat(*target))?;
        if *strategic {
            f.write_str("; for the hive")?;
        }
        write!(f, "; {} reserved)", self.reserved)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for made in &self.moves {
            writeln!(f, "{made}")?;
        }
        for refusal in &self.refused {
            writeln!(f, "{refusal}")?;
        }
        Ok(())
    }
}
