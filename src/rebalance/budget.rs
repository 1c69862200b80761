//! What may be spent now: a pure decision over sums of the ledger. Every move is bounded by its reservation before it begins, and
//! what is reserved counts as spent until it is released.

use serde::Serialize;

use crate::domain::units::to_u32_rounded;
use crate::domain::{Msat, Ppm, Sat, Share};

/// What the ledger and the node say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Funds {
    /// Cost of moves that were settled within the last 24 hours.
    pub spent: Msat,
    /// Reservations that have not been released.
    pub reserved: Msat,
    /// Routing fees of the last 24 hours.
    pub revenue: Msat,
    /// `None`: the node did not say. That counts for nothing then.
    pub onchain: Option<Msat>,
    pub outbound: Msat,
    /// Moves under way.
    pub running: u32,
}

/// The options of the budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub daily: Sat,
    /// The budget grows to this share of the revenue, if that is more.
    pub share: Option<Share>,
    pub wallet_reserve: Sat,
    pub jobs: u32,
}

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Budget {
    pub limit: Msat,
    pub spent: Msat,
    pub reserved: Msat,
    /// What may still be reserved.
    pub room: Msat,
    /// How many moves may still begin.
    pub slots: u32,
    /// Why nothing may begin at all.
    pub stop: Option<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Stop {
    WalletReserve { have: Msat, need: Msat },
    Spent { spent: Msat, reserved: Msat, limit: Msat },
    Jobs { running: u32, most: u32 },
}

/// The budget of this moment.
pub fn budget(funds: &Funds, limits: &Limits) -> Budget {
    let most = |sat: Sat| Msat::from_sat(sat).unwrap_or(Msat(u64::MAX));
    let grown =
        limits.share.map_or(Msat::ZERO, |share| Ppm(to_u32_rounded(share.get() * 1e6)).fee_floor(funds.revenue));
    let limit = most(limits.daily).max(grown);
    let used = Msat(funds.spent.0.saturating_add(funds.reserved.0));
    let room = limit.saturating_sub(used);
    let slots = limits.jobs.saturating_sub(funds.running);
    let have = Msat(funds.outbound.0.saturating_add(funds.onchain.unwrap_or_default().0));
    let need = most(limits.wallet_reserve);
    let stop = if have < need {
        Some(Stop::WalletReserve { have, need })
    } else if room == Msat::ZERO {
        Some(Stop::Spent { spent: funds.spent, reserved: funds.reserved, limit })
    } else if slots == 0 {
        Some(Stop::Jobs { running: funds.running, most: limits.jobs })
    } else {
        None
    };
    Budget { limit, spent: funds.spent, reserved: funds.reserved, room, slots, stop }
}

/// What a move may cost at most, at rates up to `max`. One ppm more, because it is not told how the rate of a route is rounded; and what
/// is left of a msat for every part.
pub fn reservation(amount: Sat, part: Sat, max: Ppm) -> Option<Msat> {
    let amount = Msat::from_sat(amount)?;
    let parts = amount.0.checked_div(Msat::from_sat(part)?.0)?;
    let most = u128::from(amount.0) * (u128::from(max.0) + 1) / 1_000_000;
    Msat(u64::try_from(most).ok()?).checked_add(Msat(parts))
}
