//! What the writer remembers between transactions, so that it need not look it up: names and marks. Never anything that the file
//! does not hold.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::{accounts, channel_id, peer_id};
use crate::domain::{ChannelId, Forward, PeerId, Scid, Time};

/// Row id, channel id, peer, placeholder.
type ChannelRow = (i64, Vec<u8>, Option<Vec<u8>>, bool);

#[derive(Debug, Default)]
pub(super) struct Memo {
    pub(super) scids: HashMap<Scid, i64>,
    pub(super) channels: HashMap<ChannelId, Named>,
    /// The channel of a row id.
    pub(super) ids: HashMap<i64, ChannelId>,
    pub(super) marks: Marks,
    /// Of each incoming scid of which a row was asked for or made: no row has a higher HTLC id, read as the ledger keeps it.
    pub(super) highest: HashMap<i64, i64>,
    /// The account of routing fees, and each channel's.
    pub(super) accounts: HashMap<String, i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: i64,
    pub(super) peer: Option<PeerId>,
    pub(super) placeholder: bool,
}

/// How far the list was read, and which single rows are gone though they are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) created: i64,
    pub(super) listed_received: Option<i64>,
    pub(super) dropped_created: Option<i64>,
    pub(super) dropped_received: Option<i64>,
}

impl Memo {
    pub(super) async fn load(conn: &mut SqliteConnection) -> anyhow::Result<Memo> {
        let mut memo = Memo::default();
        let channels: Vec<ChannelRow> =
            sqlx::query_as("SELECT id, channel_id, peer, placeholder FROM channels").fetch_all(&mut *conn).await?;
        for (id, channel, peer, placeholder) in channels {
            memo.learn(channel_id(channel)?, Named { id, peer: peer.map(peer_id).transpose()?, placeholder });
        }
        let scids: Vec<(i64, i64)> = sqlx::query_as("SELECT scid, channel FROM scids").fetch_all(&mut *conn).await?;
        memo.scids = scids.into_iter().map(|(scid, id)| (Scid(scid.cast_unsigned()), id)).collect();
        let (created, listed_received, dropped_created, dropped_received) =
            sqlx::query_as("SELECT created, listed_received, dropped_created, dropped_received FROM progress")
                .fetch_one(&mut *conn)
                .await?;
        memo.marks = Marks { created, listed_received, dropped_created, dropped_received };
        Ok(memo)
    }

    pub(super) fn learn(&mut self, channel: ChannelId, named: Named) {
        self.ids.insert(named.id, channel);
        self.channels.insert(channel, named);
    }

    pub(super) fn of_scid(&self, scid: Scid) -> Option<(ChannelId, Named)> {
        let channel = self.ids.get(self.scids.get(&scid)?)?;
        Some((*channel, *self.channels.get(channel)?))
    }

    /// The row id of an account, which is made if there is none.
    pub(super) async fn account(&mut self, conn: &mut SqliteConnection, name: &str) -> anyhow::Result<i64> {
        if let Some(id) = self.accounts.get(name) {
            return Ok(*id);
        }
        let id = accounts::account(conn, name).await?;
        self.accounts.insert(name.to_owned(), id);
        Ok(id)
    }
}

impl Marks {
    /// Was this forward, of which there is no row, counted and dropped long ago? By the node's own counter if it says one: only
    /// rows that the list had passed are dropped, so everything up to the mark has been seen. Without a counter, by time.
    pub(super) fn dropped(self, forward: &Forward) -> bool {
        match forward.created_index.map(i64::try_from) {
            Some(Ok(created)) => self.dropped_created.is_some_and(|mark| created <= mark),
            _ => self.dropped_received.is_some_and(|mark| forward.received <= Time(mark)),
        }
    }
}
