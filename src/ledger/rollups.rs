//! Sums per hour and channel, per hour of the node, per channel's life, and the postings of routing fees: what a batch of forwards
//! adds to them. Every forward's part follows from its row alone, so a row that changes takes its old part back and adds its
//! new one, and the order of events does not matter.
//!
//! The hour is that in which the outcome was known: a settled forward earns when it settles, and a past hour stays as it was.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::bulk::{Bulk, Cell};
use super::memo::Memo;
use super::periods::{self, Changes};
use super::signed;
use super::transfers;
use crate::domain::{Forward, ForwardStatus, Scid, Time};

const ROLLUPS: Bulk = Bulk {
    head:
        "INSERT INTO rollups (hour, channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, failed,
           local_failed, starved)",
    tail: "ON CONFLICT DO UPDATE SET in_msat = in_msat + excluded.in_msat, out_msat = out_msat + excluded.out_msat,
           in_count = in_count + excluded.in_count, out_count = out_count + excluded.out_count,
           earned_msat = earned_msat + excluded.earned_msat, brought_msat = brought_msat + excluded.brought_msat,
           failed = failed + excluded.failed, local_failed = local_failed + excluded.local_failed,
           starved = starved + excluded.starved",
};

const TOTALS: Bulk = Bulk {
    head: "INSERT INTO totals (channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, failed,
           local_failed, starved, in_failed, last_forward)",
    tail: "ON CONFLICT DO UPDATE SET in_msat = in_msat + excluded.in_msat, out_msat = out_msat + excluded.out_msat,
           in_count = in_count + excluded.in_count, out_count = out_count + excluded.out_count,
           earned_msat = earned_msat + excluded.earned_msat, brought_msat = brought_msat + excluded.brought_msat,
           failed = failed + excluded.failed, local_failed = local_failed + excluded.local_failed,
           starved = starved + excluded.starved, in_failed = in_failed + excluded.in_failed,
           last_forward = MAX(COALESCE(last_forward, excluded.last_forward), COALESCE(excluded.last_forward, last_forward))",
};

const NODE_HOURS: Bulk = Bulk {
    head: "INSERT INTO node_hours (hour, settled, out_msat, fees_msat, failed, local_failed, starved)",
    tail: "ON CONFLICT DO UPDATE SET settled = settled + excluded.settled, out_msat = out_msat + excluded.out_msat,
           fees_msat = fees_msat + excluded.fees_msat, failed = failed + excluded.failed,
           local_failed = local_failed + excluded.local_failed, starved = starved + excluded.starved",
};

/// What one or many forwards add; negative where a row takes its part back.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    in_msat: i64,
    out_msat: i64,
    in_count: i64,
    out_count: i64,
    earned: i64,
    brought: i64,
    failed: i64,
    local_failed: i64,
    starved: i64,
}

/// The part of the sums that only lifetime totals have.
#[derive(Clone, Copy, Debug, Default)]
struct Lifetime {
    in_failed: i64,
    last_forward: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Deltas {
    hours: HashMap<(i64, i64), Sums>,
    node: HashMap<i64, Sums>,
    lifetime: HashMap<i64, Lifetime>,
    /// Fees by outgoing channel and day.
    postings: HashMap<(i64, i64), i64>,
}

/// When the outcome of a forward was known; `None` while there is none.
pub(super) fn known_at(forward: &Forward) -> Option<Time> {
    match forward.status {
        ForwardStatus::Offered => None,
        ForwardStatus::Settled => Some(forward.resolved.unwrap_or(forward.received)),
        ForwardStatus::Failed | ForwardStatus::LocalFailed => Some(forward.received),
    }
}

/// The scids whose channels must exist for the forward to be counted. What never was a channel is never made one by a failure.
pub(super) fn needed(forward: &Forward) -> impl Iterator<Item = Scid> {
    let incoming = Some(forward.key.in_channel);
    let needed = match forward.status {
        ForwardStatus::Offered => [None, None],
        ForwardStatus::Settled => [incoming, Some(forward.out_channel.unwrap_or(Scid(0)))],
        ForwardStatus::Failed | ForwardStatus::LocalFailed => [incoming.filter(|scid| scid.0 != 0), None],
    };
    needed.into_iter().flatten()
}

/// A failure toward something that is no channel of ours.
pub(super) fn is_orphan(forward: &Forward, memo: &Memo) -> bool {
    matches!(forward.status, ForwardStatus::Failed | ForwardStatus::LocalFailed)
        && forward.out_channel.is_some_and(|scid| scid.0 != 0 && !memo.scids.contains_key(&scid))
}

fn fee_of(forward: &Forward) -> u64 {
    let difference = || forward.out_msat.map_or(0, |out| forward.in_msat.saturating_sub(out).0);
    forward.fee.map_or_else(difference, |fee| fee.0)
}

impl Deltas {
    pub(super) fn add(&mut self, forward: &Forward, memo: &Memo) -> anyhow::Result<()> {
        self.count(forward, memo, 1)
    }

    pub(super) fn take_back(&mut self, forward: &Forward, memo: &Memo) -> anyhow::Result<()> {
        self.count(forward, memo, -1)
    }

    /// Counts a failure for the channel it was meant for; all else about it was counted before.
    pub(super) fn adopt(&mut self, forward: &Forward, memo: &Memo) -> anyhow::Result<()> {
        let out = forward.out_channel.and_then(|scid| memo.scids.get(&scid));
        if let (Some(known), Some(out)) = (known_at(forward), out) {
            self.hours.entry((known.hour(), *out)).or_default().fail(forward, 1);
        }
        Ok(())
    }

    fn count(&mut self, forward: &Forward, memo: &Memo, sign: i64) -> anyhow::Result<()> {
        let Some(known) = known_at(forward) else { return Ok(()) };
        let incoming = memo.scids.get(&forward.key.in_channel).copied();
        if forward.status == ForwardStatus::Settled {
            return self.settle(forward, memo, known, sign);
        }
        self.node.entry(known.hour()).or_default().fail(forward, sign);
        let out = forward.out_channel.filter(|scid| scid.0 != 0).and_then(|scid| memo.scids.get(&scid));
        if let Some(out) = out {
            self.hours.entry((known.hour(), *out)).or_default().fail(forward, sign);
        }
        // Whoever brings a payment cannot know that our own balance is missing.
        if let Some(incoming) = incoming.filter(|_| !forward.starved()) {
            self.lifetime.entry(incoming).or_default().in_failed += sign;
        }
        Ok(())
    }

    fn settle(&mut self, forward: &Forward, memo: &Memo, known: Time, sign: i64) -> anyhow::Result<()> {
        let id = |scid: Scid| {
            memo.scids.get(&scid).copied().ok_or_else(|| anyhow::anyhow!("no channel was made for {scid}"))
        };
        let (incoming, out) = (id(forward.key.in_channel)?, id(forward.out_channel.unwrap_or(Scid(0)))?);
        let fee = sign * signed(fee_of(forward))?;
        let in_msat = sign * signed(forward.in_msat.0)?;
        let out_msat = sign * signed(forward.out_msat.unwrap_or(forward.in_msat).0)?;
        let hour = known.hour();
        let earner = self.hours.entry((hour, out)).or_default();
        earner.out_msat += out_msat;
        earner.out_count += sign;
        earner.earned += fee;
        let bringer = self.hours.entry((hour, incoming)).or_default();
        bringer.in_msat += in_msat;
        bringer.in_count += sign;
        bringer.brought += fee;
        let node = self.node.entry(hour).or_default();
        node.out_msat += out_msat;
        node.out_count += sign;
        node.earned += fee;
        *self.postings.entry((out, known.day())).or_default() += fee;
        for channel in [incoming, out] {
            let life = self.lifetime.entry(channel).or_default();
            life.last_forward = life.last_forward.max((sign > 0).then_some(known.0));
        }
        Ok(())
    }

    pub(super) async fn write(self, conn: &mut SqliteConnection, memo: &mut Memo) -> anyhow::Result<()> {
        let mut totals: HashMap<i64, Sums> = HashMap::new();
        for ((_, channel), sums) in &self.hours {
            totals.entry(*channel).or_default().join(sums);
        }
        for channel in self.lifetime.keys() {
            totals.entry(*channel).or_default();
        }
        // In the order of the keys: neighbours share pages.
        let mut rows: Vec<_> = self.hours.iter().map(|(&(hour, channel), s)| s.rollup(hour, channel)).collect();
        rows.sort_unstable_by_key(|row| (int(row[0]), int(row[1])));
        ROLLUPS.write(conn, &rows).await?;
        let mut rows: Vec<_> = totals
            .iter()
            .map(|(channel, s)| s.total(*channel, self.lifetime.get(channel).copied().unwrap_or_default()))
            .collect();
        rows.sort_unstable_by_key(|row| int(row[0]));
        TOTALS.write(conn, &rows).await?;
        let rows: Vec<_> = self.node.iter().map(|(hour, s)| s.node_hour(*hour)).collect();
        NODE_HOURS.write(conn, &rows).await?;
        let mut periods = Changes::default();
        for (&(hour, channel), s) in &self.hours {
            periods.moved(hour, channel, [s.in_msat, s.out_msat, s.in_count, s.out_count, s.earned, s.brought]);
        }
        periods.write(conn).await?;
        transfers::post(conn, memo, self.postings.into_iter().filter(|(_, fee)| *fee != 0)).await
    }

    /// Moves all sums of one channel to another.
    pub(super) async fn move_sums(conn: &mut SqliteConnection, from: i64, to: i64) -> anyhow::Result<()> {
        periods::move_periods(conn, from, to).await?;
        for sql in [
            "INSERT INTO rollups SELECT hour, ?2, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, failed,
                 local_failed, starved FROM rollups WHERE channel = ?1
             ON CONFLICT DO UPDATE SET in_msat = in_msat + excluded.in_msat, out_msat = out_msat + excluded.out_msat,
                 in_count = in_count + excluded.in_count, out_count = out_count + excluded.out_count,
                 earned_msat = earned_msat + excluded.earned_msat, brought_msat = brought_msat + excluded.brought_msat,
                 failed = failed + excluded.failed, local_failed = local_failed + excluded.local_failed,
                 starved = starved + excluded.starved",
            "DELETE FROM rollups WHERE channel = ?1",
            "INSERT INTO totals SELECT ?2, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, failed,
                 local_failed, starved, in_failed, last_forward, rated_good, rated_bad FROM totals WHERE channel = ?1
             ON CONFLICT DO UPDATE SET in_msat = in_msat + excluded.in_msat, out_msat = out_msat + excluded.out_msat,
                 in_count = in_count + excluded.in_count, out_count = out_count + excluded.out_count,
                 earned_msat = earned_msat + excluded.earned_msat, brought_msat = brought_msat + excluded.brought_msat,
                 failed = failed + excluded.failed, local_failed = local_failed + excluded.local_failed,
                 starved = starved + excluded.starved, in_failed = in_failed + excluded.in_failed,
                 last_forward =
                     MAX(COALESCE(last_forward, excluded.last_forward), COALESCE(excluded.last_forward, last_forward)),
                 rated_good = rated_good + excluded.rated_good, rated_bad = rated_bad + excluded.rated_bad",
            "DELETE FROM totals WHERE channel = ?1",
        ] {
            sqlx::query(sql).bind(from).bind(to).execute(&mut *conn).await?;
        }
        Ok(())
    }
}

impl Sums {
    fn fail(&mut self, forward: &Forward, sign: i64) {
        match forward.status {
            ForwardStatus::LocalFailed => self.local_failed += sign,
            _ => self.failed += sign,
        }
        if forward.starved() {
            self.starved += sign;
        }
    }

    fn join(&mut self, other: &Sums) {
        self.in_msat += other.in_msat;
        self.out_msat += other.out_msat;
        self.in_count += other.in_count;
        self.out_count += other.out_count;
        self.earned += other.earned;
        self.brought += other.brought;
        self.failed += other.failed;
        self.local_failed += other.local_failed;
        self.starved += other.starved;
    }

    fn rollup(&self, hour: i64, channel: i64) -> [Cell<'static>; 11] {
        [
            hour,
            channel,
            self.in_msat,
            self.out_msat,
            self.in_count,
            self.out_count,
            self.earned,
            self.brought,
            self.failed,
            self.local_failed,
            self.starved,
        ]
        .map(Cell::Int)
    }

    fn total(&self, channel: i64, life: Lifetime) -> [Cell<'static>; 12] {
        let [_, _, in_msat, out_msat, in_count, out_count, earned, brought, failed, local_failed, starved] =
            self.rollup(0, channel);
        let last = Cell::Maybe(life.last_forward);
        let channel = Cell::Int(channel);
        let in_failed = Cell::Int(life.in_failed);
        [
            channel,
            in_msat,
            out_msat,
            in_count,
            out_count,
            earned,
            brought,
            failed,
            local_failed,
            starved,
            in_failed,
            last,
        ]
    }

    fn node_hour(&self, hour: i64) -> [Cell<'static>; 7] {
        [hour, self.out_count, self.out_msat, self.earned, self.failed, self.local_failed, self.starved].map(Cell::Int)
    }
}

fn int(cell: Cell<'_>) -> i64 {
    match cell {
        Cell::Int(value) => value,
        _ => 0,
    }
}
