//! Who asked for what, within a span of time: from single forwards, so its cost grows with the span and not with history.

use std::collections::{BTreeMap, HashMap};

use super::bulk::Cell;
use super::channels::{self, Names};
use super::many::many;
use super::{Demand, Ledger};
use crate::domain::forward::{RETRY_SECS, TEMPORARY_CHANNEL_FAILURE, Tries};
use crate::domain::{ChannelId, Msat, PeerId, Time};

/// Outgoing channel, incoming channel, incoming scid, msat out and in, when known, whether settled. Channels by their row ids.
type DemandRow = (i64, Option<i64>, i64, Msat, Msat, Time, i64);

impl Ledger {
    /// Forwards that were settled, or failed for our lack of balance, after `from` and not after `to`, by the time at which the
    /// outcome was known.
    pub async fn demand(&self, from: Time, to: Time) -> anyhow::Result<Vec<Demand>> {
        let mut reader = self.reader().await?;
        let rows: Vec<DemandRow> = many(
            reader.conn(),
            "SELECT json_array(os.channel, i.channel, f.in_scid, COALESCE(f.out_msat, f.in_msat), f.in_msat, f.known_at,
                 f.status = 1) AS line
             FROM forwards AS f INDEXED BY forwards_known
             CROSS JOIN scids AS os ON os.scid = COALESCE(f.out_scid, 0)
             LEFT JOIN scids AS i ON i.scid = f.in_scid
             WHERE f.known_at > ?1 AND f.known_at <= ?2 AND (f.status = 1 OR f.status = 3 AND f.failcode = ?3)",
            &[
                // A try just after the span's start may repeat one from just before it, which was counted there.
                Cell::Int(from.plus_secs(-RETRY_SECS).0),
                Cell::Int(to.0),
                Cell::Int(i64::from(TEMPORARY_CHANNEL_FAILURE)),
            ],
        )
        .await?;
        let names = channels::names(reader.conn()).await?;
        collect(from, rows, &names)
    }

    /// Outgoing amounts of the newest settled forwards of the node.
    pub async fn recent_amounts(&self, limit: u32) -> anyhow::Result<Vec<Msat>> {
        let mut reader = self.reader().await?;
        many(
            reader.conn(),
            "SELECT COALESCE(out_msat, in_msat) AS line FROM forwards WHERE known_at IS NOT NULL AND status = 1
             ORDER BY known_at DESC LIMIT ?",
            &[Cell::Int(i64::from(limit))],
        )
        .await
    }
}

/// Sums by channel and by who brought it. A failure that repeats one from less than a minute before is the same payment.
fn collect(from: Time, mut rows: Vec<DemandRow>, names: &Names) -> anyhow::Result<Vec<Demand>> {
    let mut demand: BTreeMap<(ChannelId, Option<PeerId>), Demand> = BTreeMap::new();
    let mut tried: HashMap<(i64, i64), Tries<()>> = HashMap::new();
    rows.sort_unstable_by_key(|row| (row.5, row.2, row.4));
    for (out, brought_by, in_scid, out_msat, in_msat, at, settled) in rows {
        let settled = settled == 1;
        if !settled {
            let tries = tried.entry((out, in_scid)).or_default();
            if tries.repeated(at, in_msat).is_some() {
                continue;
            }
            tries.note(at, in_msat, ());
        }
        if at <= from {
            continue;
        }
        let (out, _) = channels::named(names, out)?;
        let from_peer = brought_by.map(|id| channels::named(names, id)).transpose()?.and_then(|(_, peer)| peer);
        let quiet = Demand { out, from_peer, settled: 0, starved: 0, out_msat: 0, in_msat: 0 };
        let line = demand.entry((out, from_peer)).or_insert(quiet);
        if settled {
            line.settled += 1;
            line.out_msat += out_msat.0;
            line.in_msat += in_msat.0;
        } else {
            line.starved += 1;
        }
    }
    Ok(demand.into_values().collect())
}
