//! What was said about peers, and every change of it. A batch is one transaction: all of it or nothing.

use std::collections::HashMap;

use anyhow::Context as _;

use super::bulk::{Bulk, Cell};
use super::many::many;
use super::{Ledger, Moved, channels};
use crate::domain::{ChannelId, PeerId, Time};
use crate::policy::peer::PeerPolicy;

/// A policy that was set, or is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    pub at: Time,
    pub kind: PolicyChangeKind,
    /// The new one; of one that is gone, the last.
    pub policy: PeerPolicy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyChangeKind {
    Set,
    Deleted,
    Expired,
}

/// How one channel has done in some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earnings {
    pub moved: Moved,
    /// Ever.
    pub last_forward: Option<Time>,
    /// When the channel was first seen in the node's list.
    pub noted_at: Option<Time>,
}

const SET: Bulk =
    Bulk { head: "INSERT INTO policies (peer, policy)", tail: "ON CONFLICT DO UPDATE SET policy = excluded.policy" };

const CHANGES: Bulk = Bulk { head: "INSERT INTO policy_changes (at, peer, kind, policy)", tail: "" };

impl Ledger {
    pub async fn policies(&self) -> anyhow::Result<Vec<PeerPolicy>> {
        let mut reader = self.reader().await?;
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT policy FROM policies ORDER BY peer").fetch_all(reader.conn()).await?;
        rows.iter().map(|text| read(text)).collect()
    }

    /// All of them, in their order, in one transaction.
    pub async fn change_policies(&self, changes: &[PolicyChange]) -> anyhow::Result<()> {
        let texts = changes.iter().map(|c| serde_json::to_string(&c.policy)).collect::<Result<Vec<_>, _>>()?;
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        for (change, text) in changes.iter().zip(&texts) {
            let peer = Cell::Blob(&change.policy.peer.0);
            match change.kind {
                PolicyChangeKind::Set => SET.write(&mut tx, &[[peer, Cell::Text(text)]]).await?,
                PolicyChangeKind::Deleted | PolicyChangeKind::Expired => {
                    let gone = sqlx::query("DELETE FROM policies WHERE peer = ?");
                    gone.bind(change.policy.peer.0.to_vec()).execute(&mut *tx).await?;
                }
            }
        }
        let rows: Vec<_> = changes.iter().zip(&texts).map(|(change, text)| line(change, text)).collect();
        CHANGES.write(&mut tx, &rows).await?;
        Ok(tx.commit().await?)
    }

    /// Changes from that time on, oldest first.
    pub async fn policy_changes(&self, since: Time, limit: u32) -> anyhow::Result<Vec<PolicyChange>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64, String)> =
            sqlx::query_as("SELECT at, kind, policy FROM policy_changes WHERE at >= ? ORDER BY at, id LIMIT ?")
                .bind(since.0)
                .bind(limit)
                .fetch_all(reader.conn())
                .await?;
        let change = |(at, kind, text): (i64, i64, String)| {
            Ok(PolicyChange { at: Time(at), kind: kind_of(kind)?, policy: read(&text)? })
        };
        rows.into_iter().map(change).collect()
    }

    /// When the peer's policy was changed since then.
    pub async fn policy_change_times(&self, peer: PeerId, since: Time) -> anyhow::Result<Vec<Time>> {
        let mut reader = self.reader().await?;
        let rows: Vec<i64> =
            sqlx::query_scalar("SELECT at FROM policy_changes WHERE peer = ? AND at >= ? AND kind <> 2")
                .bind(peer.0.to_vec())
                .bind(since.0)
                .fetch_all(reader.conn())
                .await?;
        Ok(rows.into_iter().map(Time).collect())
    }

    /// How every channel that we know has done in the last so many seconds.
    pub async fn earnings(&self, now: Time, secs: i64) -> anyhow::Result<HashMap<ChannelId, Earnings>> {
        let mut moved = self.moved(now, secs).await?;
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, Option<Time>, Option<Time>)> = many(
            reader.conn(),
            "SELECT json_array(channels.id, last_forward, noted_at) AS line
             FROM channels LEFT JOIN totals ON totals.channel = channels.id",
            &[],
        )
        .await?;
        let names = channels::names(reader.conn()).await?;
        let earnings = |(id, last_forward, noted_at): (i64, Option<Time>, Option<Time>)| {
            let channel = channels::named(&names, id)?.0;
            Ok((channel, Earnings { moved: moved.remove(&channel).unwrap_or_default(), last_forward, noted_at }))
        };
        rows.into_iter().map(earnings).collect()
    }
}

fn line<'a>(change: &'a PolicyChange, text: &'a str) -> [Cell<'a>; 4] {
    let PolicyChange { at, kind, policy } = change;
    [Cell::Int(at.0), Cell::Blob(&policy.peer.0), Cell::Int(code(*kind)), Cell::Text(text)]
}

fn read(text: &str) -> anyhow::Result<PeerPolicy> {
    serde_json::from_str(text).context("a peer's policy in the ledger")
}

fn code(kind: PolicyChangeKind) -> i64 {
    match kind {
        PolicyChangeKind::Set => 0,
        PolicyChangeKind::Deleted => 1,
        PolicyChangeKind::Expired => 2,
    }
}

fn kind_of(code: i64) -> anyhow::Result<PolicyChangeKind> {
    Ok(match code {
        0 => PolicyChangeKind::Set,
        1 => PolicyChangeKind::Deleted,
        2 => PolicyChangeKind::Expired,
        other => anyhow::bail!("kind {other} of a policy change in the ledger is unknown"),
    })
}
