//! What we have asked CLBoss to leave alone, peer by peer and tag by tag, and what was given back.

use super::bulk::{Bulk, Cell};
use super::{Ledger, peer_id};
use crate::domain::{PeerId, Time};

/// One tag of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRow {
    pub peer: PeerId,
    pub tag: String,
    pub state: TagState,
    pub at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagState {
    /// CLBoss leaves it alone because of us.
    Taken,
    /// An operator gave it back: it is not taken again by itself.
    Returned,
}

const TAGS: Bulk = Bulk { head: "INSERT OR REPLACE INTO clboss_tags (peer, tag, state, at)", tail: "" };

impl Ledger {
    pub async fn clboss_tags(&self) -> anyhow::Result<Vec<TagRow>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(Vec<u8>, String, i64, i64)> =
            sqlx::query_as("SELECT peer, tag, state, at FROM clboss_tags ORDER BY peer, tag")
                .fetch_all(reader.conn())
                .await?;
        let row = |(peer, tag, state, at)| {
            let state = if state == 0 { TagState::Taken } else { TagState::Returned };
            Ok(TagRow { peer: peer_id(peer)?, tag, state, at: Time(at) })
        };
        rows.into_iter().map(row).collect()
    }

    /// Notes these, and forgets those that are gone.
    pub async fn record_clboss_tags(&self, rows: &[TagRow], gone: &[(PeerId, String)]) -> anyhow::Result<()> {
        let lines: Vec<_> = rows.iter().map(cells).collect();
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        TAGS.write(&mut tx, &lines).await?;
        for (peer, tag) in gone {
            sqlx::query("DELETE FROM clboss_tags WHERE peer = ? AND tag = ?")
                .bind(peer.0.to_vec())
                .bind(tag.clone())
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }
}

fn cells(row: &TagRow) -> [Cell<'_>; 4] {
    let state = i64::from(row.state == TagState::Returned);
    [Cell::Blob(&row.peer.0), Cell::Text(&row.tag), Cell::Int(state), Cell::Int(row.at.0)]
}
