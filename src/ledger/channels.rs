//! Which channel a short channel id belongs to. A splice gives a channel a new one, and forwards speak of channels that closed long
//! ago; sums are kept by channel, so that neither loses its past. Never guesses: an scid that nobody named is a channel of its own.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use sqlx::SqliteConnection;

use super::many::many;
use super::memo::{Memo, Named};
use super::rollups::Deltas;
use super::{Ledger, orphans, transfers};
use crate::domain::ChannelName;
use crate::domain::{Channel, ChannelId, PeerId, Scid, Time};

/// Channels and their peers by row id.
pub(super) type Names = HashMap<i64, (ChannelId, Option<PeerId>)>;

pub(super) async fn names(conn: &mut SqliteConnection) -> anyhow::Result<Names> {
    let rows: Vec<(i64, ChannelId, Option<PeerId>)> = many(
        conn,
        "SELECT json_array(id, hex(channel_id), iif(peer IS NULL, NULL, hex(peer))) AS line FROM channels",
        &[],
    )
    .await?;
    Ok(rows.into_iter().map(|(id, channel, peer)| (id, (channel, peer))).collect())
}

/// The channel of a row id that another table refers to.
pub(super) fn named(names: &Names, id: i64) -> anyhow::Result<(ChannelId, Option<PeerId>)> {
    names.get(&id).copied().with_context(|| format!("the ledger speaks of channel number {id}, which it does not know"))
}

impl Ledger {
    /// Takes in the node's list of channels: names, peers, and every scid that a channel has had.
    pub async fn note_channels(&self, now: Time, channels: &[Channel]) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let news: Vec<&Channel> = channels.iter().filter(|channel| !memo.knows(channel)).collect();
        if news.is_empty() {
            writer.memo = Some(memo);
            return Ok(());
        }
        let mut tx = writer.begin().await?;
        let mut fresh = Vec::new();
        for channel in news {
            let id = known_channel(&mut tx, &mut memo, channel.channel_id, Some(channel.peer), Some(now)).await?;
            for scid in [channel.scid, channel.alias].into_iter().flatten() {
                fresh.extend(attach(&mut tx, &mut memo, scid, id).await?);
            }
        }
        orphans::adopt(&mut tx, &mut memo, &fresh).await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }

    /// Channels that were first heard of since then.
    pub async fn channels_since(&self, since: Time) -> anyhow::Result<HashSet<ChannelId>> {
        let mut reader = self.reader().await?;
        let find = "SELECT channel_id FROM channels WHERE noted_at >= ? AND NOT placeholder";
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(find).bind(since.0).fetch_all(reader.conn()).await?;
        ids.into_iter().map(super::channel_id).collect()
    }

    /// Short channel ids seen in forwards whose channel is not known yet and was not asked for before.
    pub async fn unknown_scids(&self, limit: u32) -> anyhow::Result<Vec<Scid>> {
        let mut reader = self.reader().await?;
        let scids: Vec<i64> = sqlx::query_scalar(
            "SELECT scid FROM scids JOIN channels ON channels.id = scids.channel
             WHERE placeholder AND NOT asked AND scid <> 0 ORDER BY scid LIMIT ?",
        )
        .bind(limit)
        .fetch_all(reader.conn())
        .await?;
        Ok(scids.into_iter().map(|scid| Scid(scid.cast_unsigned())).collect())
    }

    /// Says which channel an scid belongs to (`None`: the node does not know); its forwards move to that channel.
    pub async fn name_scid(&self, scid: Scid, name: Option<&ChannelName>) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        if let Some(name) = name {
            // Nothing is known but this scid's own placeholder: that becomes the channel, and no sum has to move.
            let only_placeholder = memo.of_scid(scid).filter(|(_, named)| named.placeholder);
            match only_placeholder.filter(|_| !memo.channels.contains_key(&name.channel_id)) {
                Some((was, _)) => rename(&mut tx, &mut memo, was, name).await?,
                None => {
                    let id = known_channel(&mut tx, &mut memo, name.channel_id, name.peer, None).await?;
                    let fresh = attach(&mut tx, &mut memo, scid, id).await?;
                    orphans::adopt(&mut tx, &mut memo, &Vec::from_iter(fresh)).await?;
                }
            }
        }
        sqlx::query("UPDATE scids SET asked = 1 WHERE scid = ?").bind(scid.0.cast_signed()).execute(&mut *tx).await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }
}

impl Memo {
    fn knows(&self, channel: &Channel) -> bool {
        self.channels.get(&channel.channel_id).is_some_and(|named| {
            !named.placeholder
                && named.peer == Some(channel.peer)
                && [channel.scid, channel.alias].iter().flatten().all(|scid| self.scids.get(scid) == Some(&named.id))
        })
    }
}

/// The id that stands for an scid that nobody has named: no real channel id starts with 24 zeros.
pub(super) fn placeholder_id(scid: Scid) -> ChannelId {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&scid.0.to_be_bytes());
    ChannelId(bytes)
}

/// Makes a placeholder for an scid that is in no list.
pub(super) async fn placeholder(conn: &mut SqliteConnection, memo: &mut Memo, scid: Scid) -> anyhow::Result<i64> {
    let channel = placeholder_id(scid);
    let id = match memo.channels.get(&channel) {
        Some(named) => named.id,
        None => insert(conn, memo, channel, Named { id: 0, peer: None, placeholder: true }, None).await?,
    };
    point(conn, memo, scid, id).await?;
    Ok(id)
}

/// The row id of a channel, which is made if there is none; the peer is put right where it is known.
pub(super) async fn known_channel(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    channel: ChannelId,
    peer: Option<PeerId>,
    noted_at: Option<Time>,
) -> anyhow::Result<i64> {
    let Some(old) = memo.channels.get(&channel).copied() else {
        return insert(conn, memo, channel, Named { id: 0, peer, placeholder: false }, noted_at).await;
    };
    let named = Named { peer: peer.or(old.peer), ..old };
    if named != old {
        sqlx::query("UPDATE channels SET peer = ? WHERE id = ?")
            .bind(named.peer.map(|p| p.0.to_vec()))
            .bind(named.id)
            .execute(conn)
            .await?;
        memo.learn(channel, named);
    }
    Ok(named.id)
}

async fn insert(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    channel: ChannelId,
    named: Named,
    noted_at: Option<Time>,
) -> anyhow::Result<i64> {
    let id = sqlx::query("INSERT INTO channels (channel_id, peer, placeholder, noted_at) VALUES (?, ?, ?, ?)")
        .bind(channel.0.to_vec())
        .bind(named.peer.map(|p| p.0.to_vec()))
        .bind(named.placeholder)
        .bind(noted_at.map(|t| t.0))
        .execute(conn)
        .await?
        .last_insert_rowid();
    memo.learn(channel, Named { id, ..named });
    Ok(id)
}

/// Lets an scid belong to a channel; what its placeholder has collected moves there. Answers the scid if it is a new one.
async fn attach(conn: &mut SqliteConnection, memo: &mut Memo, scid: Scid, id: i64) -> anyhow::Result<Option<Scid>> {
    match memo.of_scid(scid) {
        Some((_, named)) if named.id == id => Ok(None),
        Some((was, named)) if named.placeholder => {
            merge(conn, memo, was, id).await?;
            Ok(None)
        }
        // The node knows better than we did; what was counted stays where it was.
        Some(_) => point(conn, memo, scid, id).await.map(|()| None),
        None => point(conn, memo, scid, id).await.map(|()| Some(scid)),
    }
}

async fn point(conn: &mut SqliteConnection, memo: &mut Memo, scid: Scid, id: i64) -> anyhow::Result<()> {
    sqlx::query("INSERT INTO scids (scid, channel) VALUES (?, ?) ON CONFLICT DO UPDATE SET channel = excluded.channel")
        .bind(scid.0.cast_signed())
        .bind(id)
        .execute(conn)
        .await?;
    memo.scids.insert(scid, id);
    Ok(())
}

async fn rename(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    was: ChannelId,
    name: &ChannelName,
) -> anyhow::Result<()> {
    let Some(old) = memo.channels.remove(&was) else { return Ok(()) };
    sqlx::query("UPDATE channels SET channel_id = ?, peer = ?, placeholder = 0 WHERE id = ?")
        .bind(name.channel_id.0.to_vec())
        .bind(name.peer.map(|p| p.0.to_vec()))
        .bind(old.id)
        .execute(&mut *conn)
        .await?;
    memo.learn(name.channel_id, Named { id: old.id, peer: name.peer, placeholder: false });
    transfers::move_postings(conn, memo, was, name.channel_id).await
}

/// Moves all that a placeholder has collected to the channel that it turned out to be.
async fn merge(conn: &mut SqliteConnection, memo: &mut Memo, was: ChannelId, to: i64) -> anyhow::Result<()> {
    let (Some(old), Some(into)) = (memo.channels.remove(&was), memo.ids.get(&to).copied()) else { return Ok(()) };
    let from = old.id;
    Deltas::move_sums(conn, from, to).await?;
    for sql in [
        "UPDATE scids SET channel = ?2 WHERE channel = ?1",
        "UPDATE changes SET channel = ?2 WHERE channel = ?1",
        "DELETE FROM decisions WHERE channel = ?1",
        "DELETE FROM flows WHERE channel = ?1",
        "DELETE FROM channels WHERE id = ?1",
    ] {
        sqlx::query(sql).bind(from).bind(to).execute(&mut *conn).await?;
    }
    memo.ids.remove(&from);
    memo.scids.values_mut().filter(|id| **id == from).for_each(|id| *id = to);
    transfers::move_postings(conn, memo, was, into).await
}
