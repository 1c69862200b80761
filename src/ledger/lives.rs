//! The life of every channel: opened, spliced, closed, forgotten; by whom and how. Each thing may be heard of any number of times and in
//! any order. Closed channels stay for ever.

use std::collections::{HashMap, HashSet};

use sqlx::SqliteConnection;

use super::costs::ESTIMATE;
use super::memo::Memo;
use super::{Ledger, channel_id, channels, peer_id, signed, unsigned};
use crate::accounts::Life;
use crate::domain::{
    ChainMove, ChainTag, Channel, ChannelId, ChannelState, CloseType, ClosedChannel, CoinAccount, Evidence, Msat,
    PeerId, Scid, Side, Time,
};

/// So long after the last coin moved, the bookkeeper is asked once more: it may have learned of other ends of the same transaction.
const AGAIN_SECS: i64 = 3600;

/// A piece of news of one channel. What is `None` is not told, and changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LifeNews {
    pub peer: Option<PeerId>,
    pub scid: Option<Scid>,
    pub capacity: Option<Msat>,
    pub opener: Option<Side>,
    pub closer: Option<Side>,
    pub cause: Option<String>,
    pub opened_at: Option<Time>,
    pub closing_at: Option<Time>,
    pub archived_at: Option<Time>,
    pub evidence: Evidence,
    pub last_fee: Option<Msat>,
    /// The bookkeeper has something new to tell.
    pub ask: bool,
}

/// How far the node's records of coins were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoinPositions {
    pub chain: u64,
    pub channel: u64,
}

impl Ledger {
    pub async fn coin_positions(&self) -> anyhow::Result<CoinPositions> {
        let mut reader = self.reader().await?;
        let (chain, channel): (i64, i64) =
            sqlx::query_as("SELECT chain, channel FROM coins").fetch_one(reader.conn()).await?;
        Ok(CoinPositions { chain: unsigned(chain), channel: unsigned(channel) })
    }

    /// Takes in news of channels.
    pub async fn record_lives(&self, now: Time, news: &[(ChannelId, LifeNews)]) -> anyhow::Result<()> {
        if news.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        for (channel, news) in news {
            tell(&mut tx, &mut memo, (*channel, now), news).await?;
        }
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }

    /// Takes in a page of coins on the chain: what they say of channels, and of whom the bookkeeper knows more now.
    pub async fn record_chain(&self, now: Time, moves: &[ChainMove]) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        for one in moves {
            let channel = match one.account {
                CoinAccount::Channel(channel) => Some(channel),
                CoinAccount::Wallet | CoinAccount::External => one.origin,
            };
            let Some(channel) = channel else { continue };
            let news = LifeNews {
                peer: one.peer,
                opened_at: (one.tag == ChainTag::Open).then_some(one.at),
                closing_at: (one.tag == ChainTag::Close && !one.splice).then_some(one.at),
                evidence: evidence(one),
                ask: true,
                ..LifeNews::default()
            };
            tell(&mut tx, &mut memo, (channel, now), &news).await?;
        }
        if let Some(last) = moves.iter().map(|one| one.index).max() {
            sqlx::query("UPDATE coins SET chain = MAX(chain, ?)").bind(signed(last)?).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }

    /// Channels that the bookkeeper is to be asked about now, those that wait longest first.
    pub async fn to_ask(&self, now: Time, limit: u32) -> anyhow::Result<Vec<ChannelId>> {
        let mut reader = self.reader().await?;
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT channel_id FROM lives JOIN channels ON channels.id = lives.channel
             WHERE ask_at <= ?1 AND NOT placeholder ORDER BY ask_at, channels.id LIMIT ?2",
        )
        .bind(now.0)
        .bind(limit)
        .fetch_all(reader.conn())
        .await?;
        ids.into_iter().map(channel_id).collect()
    }

    /// Lets the bookkeeper be asked about a channel later.
    pub async fn ask_later(&self, channel: ChannelId, at: Time) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        sqlx::query("UPDATE lives SET ask_at = ?2 WHERE channel = (SELECT id FROM channels WHERE channel_id = ?1)")
            .bind(channel.0.to_vec())
            .bind(at.0)
            .execute(&mut writer.conn)
            .await?;
        Ok(())
    }

    /// All channels that were ever heard of, with what is known of their lives.
    pub async fn lives(&self) -> anyhow::Result<HashMap<ChannelId, Life>> {
        let mut reader = self.reader().await?;
        let conn = reader.conn();
        let estimated: Vec<String> =
            sqlx::query_scalar("SELECT key FROM transfers WHERE key > 'estimate/' AND key < 'estimate0'")
                .fetch_all(&mut *conn)
                .await?;
        let id = |key: &String| key.strip_prefix(ESTIMATE)?.split('/').next()?.parse().ok();
        let estimated: HashSet<ChannelId> = estimated.iter().filter_map(id).collect();
        let mut spliced = super::splices::spliced(&mut *conn).await?;
        let rows: Vec<LifeRow> = sqlx::query_as(
            "SELECT c.channel_id, c.peer, COALESCE(l.scid, (SELECT MIN(scid) FROM scids WHERE scids.channel = c.id AND c.placeholder)),
                 l.capacity_msat, l.opener, l.closer, l.cause, l.opened_at, l.closing_at, l.archived_at, COALESCE(l.evidence, 0),
                 l.balance_msat, t.last_forward
             FROM channels AS c LEFT JOIN lives AS l ON l.channel = c.id LEFT JOIN totals AS t ON t.channel = c.id",
        )
        .fetch_all(conn)
        .await?;
        let mut lives = HashMap::with_capacity(rows.len());
        for row in rows {
            let spliced = spliced.remove(&row.0).unwrap_or_default();
            let mut life = life(row, &estimated)?;
            // Only the bookkeeper's account of the channel says that there were none.
            life.spliced = life.balance_msat.is_some().then_some(spliced);
            lives.insert(life.channel, life);
        }
        Ok(lives)
    }

    /// What the last transaction that both sides had signed would have cost, by channel: the best guess of a close.
    pub async fn last_fees(&self) -> anyhow::Result<HashMap<ChannelId, Msat>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT channel_id, last_fee_msat FROM lives JOIN channels ON channels.id = lives.channel
             WHERE last_fee_msat IS NOT NULL",
        )
        .fetch_all(reader.conn())
        .await?;
        rows.into_iter().map(|(id, msat)| Ok((channel_id(id)?, Msat(unsigned(msat))))).collect()
    }
}

impl LifeNews {
    /// What the node's list says of a channel.
    pub fn listed(channel: &Channel, now: Time) -> LifeNews {
        LifeNews {
            peer: Some(channel.peer),
            scid: channel.scid,
            capacity: Some(channel.capacity).filter(|capacity| *capacity > Msat::ZERO),
            opener: channel.opener,
            closing_at: (channel.state == ChannelState::Closing).then_some(now),
            ..LifeNews::default()
        }
    }

    /// What the node remembers of a channel that it has forgotten.
    pub fn forgotten(closed: &ClosedChannel, now: Time) -> LifeNews {
        LifeNews {
            peer: closed.peer,
            scid: closed.scid,
            capacity: Some(closed.capacity),
            opener: closed.opener,
            closer: closed.closer,
            cause: closed.cause.clone(),
            closing_at: Some(now),
            archived_at: Some(now),
            evidence: Evidence::RESOLVED,
            last_fee: closed.last_fee,
            ..LifeNews::default()
        }
    }
}

fn evidence(one: &ChainMove) -> Evidence {
    match one.tag {
        ChainTag::Close if !one.splice => Evidence::SPENT,
        ChainTag::DelayedToUs => Evidence::DELAYED_TO_US,
        ChainTag::Anchor => Evidence::ANCHOR,
        ChainTag::Penalty => Evidence::PENALTY,
        ChainTag::Deposit if one.origin.is_some() => Evidence::TO_WALLET,
        _ => Evidence::NONE,
    }
}

fn side_code(side: Side) -> i64 {
    i64::from(side == Side::Remote)
}

/// The first time that something happened counts, and the newest name, which a splice gives at a greater height. A row that would not change is not written.
async fn tell(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    (channel, now): (ChannelId, Time),
    news: &LifeNews,
) -> anyhow::Result<()> {
    let id = channels::known_channel(conn, memo, channel, news.peer, None).await?;
    let ask = news.ask.then_some(now);
    sqlx::query(
        "INSERT INTO lives (channel, scid, capacity_msat, opener, closer, cause, opened_at, closing_at, archived_at, evidence,
             last_fee_msat, ask_at, again_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT DO UPDATE SET scid = COALESCE(MAX(scid, excluded.scid), scid, excluded.scid),
             capacity_msat = COALESCE(excluded.capacity_msat, capacity_msat), opener = COALESCE(opener, excluded.opener),
             closer = COALESCE(closer, excluded.closer), cause = COALESCE(cause, excluded.cause),
             opened_at = COALESCE(MIN(opened_at, excluded.opened_at), opened_at, excluded.opened_at),
             closing_at = COALESCE(MIN(closing_at, excluded.closing_at), closing_at, excluded.closing_at),
             archived_at = COALESCE(MIN(archived_at, excluded.archived_at), archived_at, excluded.archived_at),
             evidence = evidence | excluded.evidence, last_fee_msat = COALESCE(excluded.last_fee_msat, last_fee_msat),
             ask_at = COALESCE(MIN(ask_at, excluded.ask_at), ask_at, excluded.ask_at),
             again_at = COALESCE(excluded.again_at, again_at)",
    )
    .bind(id)
    .bind(news.scid.map(|scid| scid.0.cast_signed()))
    .bind(news.capacity.map(|capacity| signed(capacity.0)).transpose()?)
    .bind(news.opener.map(side_code))
    .bind(news.closer.map(side_code))
    .bind(news.cause.clone())
    .bind(news.opened_at.map(|at| at.0))
    .bind(news.closing_at.map(|at| at.0))
    .bind(news.archived_at.map(|at| at.0))
    .bind(i64::from(news.evidence.0))
    .bind(news.last_fee.map(|fee| signed(fee.0)).transpose()?)
    .bind(ask.map(|at| at.0))
    .bind(ask.map(|at| at.plus_secs(AGAIN_SECS).0))
    .execute(conn)
    .await?;
    Ok(())
}

/// Channel id, peer, scid, capacity, opener, closer, cause, opened, closing, archived, evidence, balance, last forward.
type LifeRow = (
    Vec<u8>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    i64,
    Option<i64>,
    Option<i64>,
);

fn life(row: LifeRow, estimated: &HashSet<ChannelId>) -> anyhow::Result<Life> {
    let (id, peer, scid, capacity, opener, closer, cause, opened, closing, archived, evidence, balance, last) = row;
    let channel = channel_id(id)?;
    let evidence = Evidence(u8::try_from(evidence)?);
    let side = |code: i64| if code == 0 { Side::Local } else { Side::Remote };
    Ok(Life {
        channel,
        scid: scid.map(|scid| Scid(scid.cast_unsigned())),
        peer: peer.map(peer_id).transpose()?,
        capacity: capacity.map(|msat| Msat(unsigned(msat))),
        opener: opener.map(side),
        closer: closer.map(side).or_else(|| evidence.close_type().and_then(CloseType::closer)),
        cause,
        opened_at: opened.map(Time),
        closing_at: closing.map(Time),
        archived_at: archived.map(Time),
        close_type: evidence.close_type(),
        spent: evidence.has(Evidence::SPENT),
        last_forward: last.map(Time),
        balance_msat: balance,
        estimated: estimated.contains(&channel),
        spliced: None,
    })
}
