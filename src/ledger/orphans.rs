//! Failures toward an scid that is no channel of ours. They count for nobody, until the scid turns out to be a channel.

use sqlx::SqliteConnection;

use super::forward_row::{Row, forward};
use super::memo::Memo;
use super::rollups::Deltas;
use crate::domain::{Forward, Scid};

/// These scids are known to be channels of ours from now on: failures toward them count.
pub(super) async fn adopt(conn: &mut SqliteConnection, memo: &mut Memo, fresh: &[Scid]) -> anyhow::Result<()> {
    if fresh.is_empty() {
        return Ok(());
    }
    let mut deltas = Deltas::default();
    for forward in take(conn, fresh).await? {
        deltas.adopt(&forward, memo)?;
    }
    deltas.write(conn, memo).await
}

/// Failures that were toward these scids while they were no channels of ours: they are not orphans any longer.
async fn take(conn: &mut SqliteConnection, scids: &[Scid]) -> anyhow::Result<Vec<Forward>> {
    let scids: Vec<i64> = scids.iter().map(|scid| scid.0.cast_signed()).collect();
    let rows: Vec<Row> = sqlx::query_as(
        "UPDATE forwards INDEXED BY forwards_orphans SET orphan = 0 WHERE orphan = 1 AND out_scid IN (SELECT value FROM json_each(?))
         RETURNING in_scid, in_htlc, out_scid, in_msat, out_msat, fee_msat, status, failcode, received, resolved, created, updated",
    )
    .bind(serde_json::to_string(&scids)?)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(forward).collect()
}
