//! The only SQL: what happened, what was decided, what was learned. One SQLite file, one writer. It never decides anything,
//! never reads a clock, and never counts a thing twice.

mod accounts;
mod bulk;
mod channels;
mod check;
mod clboss;
mod costs;
mod days;
mod demand;
mod fees;
mod flows;
mod forward_row;
mod forwards;
mod history;
mod lives;
mod many;
mod memo;
mod notes;
mod open;
mod orphans;
mod overrides;
mod periods;
mod policies;
mod rebalances;
mod refusals;
mod reputation;
mod rollups;
mod splices;
mod transfers;
mod trials;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::Context as _;
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use crate::domain::{ChannelId, Msat, PeerId, Ppm, Time};
use crate::flow::DaySum;

pub use clboss::{TagRow, TagState};
pub use costs::Estimate;
pub use history::{History, PastForward, PastPrice, ReadError};
pub use lives::{CoinPositions, LifeNews};
use memo::Memo;
pub use open::{OpenError, peek};
pub use periods::Window;
pub use policies::{Earnings, PolicyChange, PolicyChangeKind};
pub use rebalances::{MoveEnd, MoveRow, MoveState, MoveSums, NewMove};

/// A handle; clones share one file.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` once the ledger is closed.
    writer: Mutex<Option<Writer>>,
    /// `None` for a ledger in memory, whose only connection is the writer's.
    readers: Option<SqlitePool>,
}

/// The one connection that writes.
#[derive(Debug)]
struct Writer {
    conn: SqliteConnection,
    /// What the writer need not look up again. Taken out during a transaction and put back after the commit, so whatever
    /// ends a transaction early also ends the memo.
    memo: Option<Memo>,
}

/// A connection to read from.
enum Reader<'a> {
    Pooled(PoolConnection<Sqlite>),
    Shared(MappedMutexGuard<'a, Writer>),
}

/// What came of recording a batch of forwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub new: u64,
    pub changed: u64,
}

/// Up to which index the node's forwards have been taken in (0: none yet).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    pub created: u64,
    pub updated: u64,
}

/// Sums of one channel over the flow window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelDays {
    pub days: Vec<DaySum>,
    /// Time of the newest forward ever, in or out.
    pub last_forward: Option<Time>,
}

/// Settled forwards of one channel within a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub in_msat: u64,
    pub out_msat: u64,
    pub in_count: u64,
    pub out_count: u64,
    /// Fees of forwards out by the channel.
    pub earned_msat: u64,
    /// Fees of forwards that came in by it.
    pub brought_msat: u64,
}

/// Demand for one channel from one other, within a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    pub out: ChannelId,
    /// `None`: the incoming channel is not known (it closed long ago).
    pub from_peer: Option<PeerId>,
    pub settled: u64,
    /// Distinct forwards that failed for our lack of local balance: same incoming channel, amount within 1 % and 60 s
    /// count once.
    pub starved: u64,
    pub out_msat: u64,
    /// The same with our fees, as it came in.
    pub in_msat: u64,
}

/// A payer whom our node has refused because of an old price (`fee_insufficient`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub out: ChannelId,
    pub at: Time,
    /// Did the payment come again within a minute, by the same incoming channel to the same peer, and was its fee enough?
    pub came_back: bool,
}

/// One line of the audit trail of fees.
#[derive(Clone, Debug, PartialEq)]
pub struct FeeRow {
    pub channel: ChannelId,
    pub peer: PeerId,
    pub at: Time,
    pub old: Ppm,
    pub new: Ppm,
    pub outcome: FeeOutcomeKind,
    /// By an operator, not by the controller.
    pub manual: bool,
    pub urgent: bool,
    /// One line for people.
    pub summary: String,
    /// All stages, as JSON.
    pub why: String,
}

/// What pricing remembers of one peer, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRow {
    pub peer: PeerId,
    pub memory: String,
    /// The larger part. `None`: nothing yet; when it is recorded: as it was.
    pub learned: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeOutcomeKind {
    /// Nothing was to be done.
    Kept,
    /// The node confirmed it.
    Set,
    /// `dry-run`: it would have been set.
    Dry,
    /// The node refused, or answered something else than was asked.
    Failed,
    /// The node was to be told, and what came of it was not heard: we were stopped in between, or it did not answer. The
    /// next look at the node tells.
    Ordered,
}

/// Changes of the fee of one channel since some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCount {
    pub ordinary: u32,
    pub urgent: u32,
}

/// An option that `revenue-config set` keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideRow {
    pub key: String,
    pub value: String,
    pub version: i64,
    pub updated_at: Time,
}

/// Money from one account to another, once per key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub key: String,
    pub at: Time,
    pub from: String,
    pub to: String,
    pub amount: Msat,
    pub memo: String,
}

/// Result of the ledger's own examination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerCheck {
    pub at: Time,
    /// Must be 0.
    pub sum_of_accounts_msat: i64,
    pub forwards: u64,
    pub settled: u64,
    pub fees_msat: u64,
    /// What does not agree, in sentences; empty: all is well.
    pub problems: Vec<String>,
}

/// How often payments that a peer brought in got through.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reputation {
    pub successes: f64,
    pub failures: f64,
}

/// Lifetime sums of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelTotals {
    pub out_msat: u64,
    pub in_msat: u64,
    pub out_count: u64,
    pub in_count: u64,
    /// Fees earned by forwards out of this channel.
    pub fees_earned_msat: u64,
    /// Fees earned elsewhere by forwards that came in here.
    pub fees_brought_msat: u64,
    pub failed: u64,
    pub local_failed: u64,
    pub starved: u64,
}

impl Ledger {
    async fn writer(&self) -> anyhow::Result<MappedMutexGuard<'_, Writer>> {
        let guard = self.inner.writer.lock().await;
        MutexGuard::try_map(guard, Option::as_mut).map_err(|_| anyhow::anyhow!("the ledger is closed"))
    }

    async fn reader(&self) -> anyhow::Result<Reader<'_>> {
        match &self.inner.readers {
            Some(pool) => Ok(Reader::Pooled(pool.acquire().await.context("reading the ledger")?)),
            None => Ok(Reader::Shared(self.writer().await?)),
        }
    }
}

impl Writer {
    /// A transaction that writes; it waits for the lock now, not in its middle.
    async fn begin(&mut self) -> sqlx::Result<Transaction<'_, Sqlite>> {
        self.conn.begin_with("BEGIN IMMEDIATE").await
    }

    async fn take_memo(&mut self) -> anyhow::Result<Memo> {
        match self.memo.take() {
            Some(memo) => Ok(memo),
            None => Memo::load(&mut self.conn).await,
        }
    }
}

impl Reader<'_> {
    fn conn(&mut self) -> &mut SqliteConnection {
        match self {
            Reader::Pooled(conn) => conn,
            Reader::Shared(writer) => &mut writer.conn,
        }
    }
}

/// Counts and amounts as SQLite keeps them. Nothing that exists comes near the limit of 9.2e18 msat.
fn signed(value: u64) -> anyhow::Result<i64> {
    i64::try_from(value).with_context(|| format!("{value} is more than a ledger can hold"))
}

/// Sums are never negative; if a damaged file says so, nothing is the safe reading.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn channel_id(bytes: Vec<u8>) -> anyhow::Result<ChannelId> {
    bytes.try_into().map(ChannelId).map_err(|_| anyhow::anyhow!("a channel id in the ledger has not 32 bytes"))
}

fn peer_id(bytes: Vec<u8>) -> anyhow::Result<PeerId> {
    bytes.try_into().map(PeerId).map_err(|_| anyhow::anyhow!("a node id in the ledger has not 33 bytes"))
}
