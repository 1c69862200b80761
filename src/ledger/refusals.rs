//! Who came with an old price, and who of them took the new one: from single forwards, so its cost grows with the span and not with history.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::bulk::Cell;
use super::channels;
use super::many::many;
use super::{Ledger, Refusal};
use crate::domain::forward::{FEE_INSUFFICIENT, RETRY_SECS, TEMPORARY_CHANNEL_FAILURE, Tries};
use crate::domain::{Msat, Time};

/// HTLCs of the same incoming channel among which a payment that comes again is looked for.
const NEXT_HTLCS: i64 = 1_000;

impl Ledger {
    /// Payers who were refused for an old price, once each, a minute before `from` to a minute before `to`: by then it is known who has
    /// come again.
    pub async fn refusals(&self, from: Time, to: Time) -> anyhow::Result<Vec<Refusal>> {
        let mut reader = self.reader().await?;
        let refused = refused(reader.conn(), from, to).await?;
        let names = channels::names(reader.conn()).await?;
        let named = |Refused { channel, at, came_back }| {
            Ok(Refusal { out: channels::named(&names, channel)?.0, at, came_back })
        };
        refused.into_iter().map(named).collect()
    }
}

/// A refusal, with the ledger's number of the channel.
pub(super) struct Refused {
    pub(super) channel: i64,
    pub(super) at: Time,
    pub(super) came_back: bool,
}

/// What [`Ledger::refusals`] tells, in the order of time.
pub(super) async fn refused(conn: &mut SqliteConnection, from: Time, to: Time) -> anyhow::Result<Vec<Refused>> {
    let [before, from, to] = [from.plus_secs(-2 * RETRY_SECS), from.plus_secs(-RETRY_SECS), to.plus_secs(-RETRY_SECS)];
    let mut rows: Vec<(i64, i64, Msat, Time, i64)> = many(
        conn,
        "SELECT json_array(c.id, f.in_scid, f.in_msat, f.known_at, EXISTS (
             SELECT 1 FROM forwards AS g CROSS JOIN scids AS gs ON gs.scid = g.out_scid CROSS JOIN channels AS gc ON gc.id = gs.channel
             WHERE g.in_scid = f.in_scid AND g.in_htlc > f.in_htlc AND g.in_htlc <= f.in_htlc + ?3
                 AND g.received <= f.known_at + ?4 AND ABS(g.in_msat - f.in_msat) <= f.in_msat / 100
                 AND (gc.id = c.id OR gc.peer = c.peer) AND (g.status <> 3 OR g.failcode = ?5))) AS line
         FROM forwards AS f INDEXED BY forwards_known
         CROSS JOIN scids AS s ON s.scid = f.out_scid
         CROSS JOIN channels AS c ON c.id = s.channel
         WHERE f.known_at > ?1 AND f.known_at <= ?2 AND f.status = 3 AND f.failcode = ?6",
        &[
            Cell::Int(before.0),
            Cell::Int(to.0),
            Cell::Int(NEXT_HTLCS),
            Cell::Int(RETRY_SECS * 1_000),
            // Who is refused for our lack of balance had offered enough.
            Cell::Int(i64::from(TEMPORARY_CHANNEL_FAILURE)),
            Cell::Int(i64::from(FEE_INSUFFICIENT)),
        ],
    )
    .await?;
    let mut tried: HashMap<(i64, i64), Tries<()>> = HashMap::new();
    rows.sort_unstable_by_key(|(_, in_scid, in_msat, at, _)| (*at, *in_scid, *in_msat));
    let mut refused = Vec::new();
    for (channel, in_scid, in_msat, at, came_back) in rows {
        let tries = tried.entry((channel, in_scid)).or_default();
        let again = tries.repeated(at, in_msat).is_some();
        if !again {
            tries.note(at, in_msat, ());
        }
        if !again && at > from {
            refused.push(Refused { channel, at, came_back: came_back == 1 });
        }
    }
    Ok(refused)
}
