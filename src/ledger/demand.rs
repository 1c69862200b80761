//! Who asked for what, within a span of time: from single forwards, so its cost grows with the span and not with history.

use std::collections::{BTreeMap, HashMap};

use super::{Demand, Ledger, channel_id, peer_id, unsigned};
use crate::domain::forward::TEMPORARY_CHANNEL_FAILURE;
use crate::domain::{ChannelId, Msat, PeerId, Time};

/// Tries of one payment: how far apart in time and (as a share: one in a hundred) in amount they may be.
const RETRY_MILLIS: i64 = 60_000;
const RETRY_SHARE: i64 = 100;

/// Outgoing channel, incoming peer, number of settled forwards, msat out and msat in.
type Settled = (Vec<u8>, Option<Vec<u8>>, i64, i64, i64);

/// Outgoing channel, incoming peer, row id of the outgoing channel, incoming scid, msat and time of a failure.
type StarvedRow = (Vec<u8>, Option<Vec<u8>>, i64, i64, i64, i64);

/// A forward that failed for our lack of balance. `way`: outgoing channel and incoming scid.
struct Starved {
    out: Vec<u8>,
    peer: Option<Vec<u8>>,
    way: (i64, i64),
    in_msat: i64,
    known_at: i64,
}

impl Ledger {
    /// Forwards that were settled, or failed for our lack of balance, after `from` and not after `to`, by the time at which the
    /// outcome was known.
    pub async fn demand(&self, from: Time, to: Time) -> anyhow::Result<Vec<Demand>> {
        let mut reader = self.reader().await?;
        let settled: Vec<Settled> = sqlx::query_as(
            "SELECT oc.channel_id, ic.peer, COUNT(*), SUM(COALESCE(f.out_msat, f.in_msat)), SUM(f.in_msat)
             FROM forwards AS f
             CROSS JOIN scids AS os ON os.scid = COALESCE(f.out_scid, 0)
             CROSS JOIN channels AS oc ON oc.id = os.channel
             LEFT JOIN scids AS i ON i.scid = f.in_scid
             LEFT JOIN channels AS ic ON ic.id = i.channel
             WHERE f.known_at > ? AND f.known_at <= ? AND f.status = 1
             GROUP BY oc.id, ic.peer",
        )
        .bind(from.0)
        .bind(to.0)
        .fetch_all(reader.conn())
        .await?;
        let starved: Vec<StarvedRow> = sqlx::query_as(
            "SELECT oc.channel_id, ic.peer, oc.id, f.in_scid, f.in_msat, f.known_at
             FROM forwards AS f
             CROSS JOIN scids AS os ON os.scid = f.out_scid
             CROSS JOIN channels AS oc ON oc.id = os.channel
             LEFT JOIN scids AS i ON i.scid = f.in_scid
             LEFT JOIN channels AS ic ON ic.id = i.channel
             WHERE f.known_at > ? AND f.known_at <= ? AND f.status = 3 AND f.failcode = ?
             ORDER BY f.known_at, f.in_scid, f.in_htlc",
        )
        // A try just after the span's start may repeat one from just before it, which was counted there.
        .bind(from.0.saturating_sub(RETRY_MILLIS))
        .bind(to.0)
        .bind(TEMPORARY_CHANNEL_FAILURE)
        .fetch_all(reader.conn())
        .await?;
        let starved = starved.into_iter().map(|(out, peer, out_id, in_scid, in_msat, known_at)| Starved {
            out,
            peer,
            way: (out_id, in_scid),
            in_msat,
            known_at,
        });
        collect(from, settled, distinct(starved))
    }

    /// Outgoing amounts of the newest settled forwards of the node.
    pub async fn recent_amounts(&self, limit: u32) -> anyhow::Result<Vec<Msat>> {
        let mut reader = self.reader().await?;
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT COALESCE(out_msat, in_msat) FROM forwards WHERE known_at IS NOT NULL AND status = 1
             ORDER BY known_at DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(reader.conn())
        .await?;
        Ok(rows.into_iter().map(|msat| Msat(unsigned(msat))).collect())
    }
}

/// Leaves out what repeats a failure that was counted less than a minute before.
fn distinct(rows: impl Iterator<Item = Starved>) -> Vec<Starved> {
    let mut counted: HashMap<(i64, i64), Vec<(i64, i64)>> = HashMap::new();
    let mut distinct = Vec::new();
    for row in rows {
        let seen = counted.entry(row.way).or_default();
        seen.retain(|(_, at)| row.known_at - at <= RETRY_MILLIS);
        let again = seen.iter().any(|(msat, _)| msat.abs_diff(row.in_msat) <= (msat / RETRY_SHARE).unsigned_abs());
        if !again {
            seen.push((row.in_msat, row.known_at));
            distinct.push(row);
        }
    }
    distinct
}

fn collect(from: Time, settled: Vec<Settled>, starved: Vec<Starved>) -> anyhow::Result<Vec<Demand>> {
    let mut demand: BTreeMap<(ChannelId, Option<PeerId>), Demand> = BTreeMap::new();
    for (out, peer, count, out_msat, in_msat) in settled {
        let line = line(&mut demand, out, peer)?;
        line.settled += unsigned(count);
        line.out_msat += unsigned(out_msat);
        line.in_msat += unsigned(in_msat);
    }
    for row in starved.into_iter().filter(|row| row.known_at > from.0) {
        line(&mut demand, row.out, row.peer)?.starved += 1;
    }
    Ok(demand.into_values().collect())
}

fn line(
    demand: &mut BTreeMap<(ChannelId, Option<PeerId>), Demand>,
    out: Vec<u8>,
    peer: Option<Vec<u8>>,
) -> anyhow::Result<&mut Demand> {
    let (out, from_peer) = (channel_id(out)?, peer.map(peer_id).transpose()?);
    let quiet = Demand { out, from_peer, settled: 0, starved: 0, out_msat: 0, in_msat: 0 };
    Ok(demand.entry((out, from_peer)).or_insert(quiet))
}
