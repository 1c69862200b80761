//! The ledger as a record to look back on. It is opened to read only, while a plugin may be writing to it: nothing is written,
//! migrated or left beside it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::forward_row::status;
use super::open::{Found, OpenError, beside, look_at, newest};
use super::refusals::{self, Refused};
use super::{Ledger, peer_id, unsigned};
use crate::domain::forward::TEMPORARY_CHANNEL_FAILURE;
use crate::domain::{ForwardStatus, Holdings, Identity, Msat, PeerId, Ppm, Scid, Time};

/// Days for which the notes of balances are kept.
const HOLDINGS_DAYS: f64 = 90.0;

/// What a ledger tells of the past.
#[derive(Clone, Debug)]
pub struct History {
    pub owner: Identity,
    /// Since when forwards and prices are known, and up to when.
    pub from: Time,
    pub to: Time,
    /// The notes of where our money lay, oldest first.
    pub holdings: Vec<Holdings>,
    /// In the order of time.
    pub prices: Vec<PastPrice>,
    /// By the time at which they came in.
    pub forwards: Vec<PastForward>,
    /// Payers who came with an old price, in the order of time.
    pub refused: Vec<PastRefusal>,
}

/// A decision about one peer's fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastPrice {
    pub peer: PeerId,
    pub at: Time,
    /// In force before, and from then on.
    pub before: Ppm,
    pub after: Ppm,
}

/// A payment that chose us, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastForward {
    pub received: Time,
    pub known: Time,
    /// `None`: the channel is not known any more.
    pub from: Option<PeerId>,
    pub out: PeerId,
    pub in_channel: Scid,
    pub in_msat: Msat,
    /// `None`: it did not leave.
    pub out_msat: Option<Msat>,
    /// Settled, failed further down, or failed for our lack of balance.
    pub status: ForwardStatus,
}

/// A payer whom the node refused because of an old price, and told the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastRefusal {
    pub out: PeerId,
    pub at: Time,
    /// For the new price, within a minute.
    pub came_back: bool,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(
        "there is no file '{0}'; give the plugin's ledger ('revenue-ops-db-path', usually ~/.lightning/revenue_ops.db)"
    )]
    Missing(String),
    #[error("'{0}' is empty: no ledger of cl-revenue-ops; give the path in 'revenue-ops-db-path'")]
    Empty(String),
    #[error("'{0}' is no ledger of cl-revenue-ops; give the path in 'revenue-ops-db-path'")]
    NotOurs(String),
    #[error("'{0}' was written by a newer version; update this program")]
    Newer(String),
    #[error(
        "'{0}' was written by an older version; start the plugin of this version on it once, which brings it up to date"
    )]
    Older(String),
    #[error("'{path}' cannot be read: {why}")]
    Broken { path: String, why: String },
}

impl Ledger {
    /// Keeps where our money lies, one note a day; old ones go.
    pub async fn note_holdings(&self, holdings: &Holdings) -> anyhow::Result<()> {
        let name = format!("holdings/{}", holdings.at.day());
        self.save_note(holdings.at, &name, &serde_json::to_string(holdings)?).await?;
        let mut writer = self.writer().await?;
        sqlx::query("DELETE FROM notes WHERE name > 'holdings/' AND name < 'holdings0' AND at < ?")
            .bind(holdings.at.plus_hours(-24.0 * HOLDINGS_DAYS).0)
            .execute(&mut writer.conn)
            .await?;
        Ok(())
    }
}

impl History {
    /// Of the last `days` in the file.
    pub async fn read(path: &Path, days: u32) -> Result<History, ReadError> {
        let name = path.display().to_string();
        is_ours(path, &name)?;
        let broken = |error: anyhow::Error| ReadError::Broken { path: name.clone(), why: format!("{error:#}") };
        // Without a log nobody has the file open, and SQLite would make one: then it is read as what does not change.
        let alone = is_alone(path);
        let read = read(path, &name, alone, days).await;
        if alone && !is_alone(path) {
            // A plugin has started meanwhile.
            return self::read(path, &name, false, days).await?.map_err(broken);
        }
        read?.map_err(broken)
    }
}

fn is_alone(path: &Path) -> bool {
    !beside(path, "-wal").exists()
}

fn is_ours(path: &Path, name: &str) -> Result<(), ReadError> {
    match look_at(path, name) {
        Ok(Found::Nothing) if path.exists() => Err(ReadError::Empty(name.to_owned())),
        Ok(Found::Nothing) => Err(ReadError::Missing(name.to_owned())),
        Ok(Found::Sqlite) => Ok(()),
        Err(OpenError::Newer { .. }) => Err(ReadError::Newer(name.to_owned())),
        Err(OpenError::Broken { why, .. }) => Err(ReadError::Broken { path: name.to_owned(), why }),
        Err(_) => Err(ReadError::NotOurs(name.to_owned())),
    }
}

/// The outer error is about whose file it is.
async fn read(path: &Path, name: &str, alone: bool, days: u32) -> Result<anyhow::Result<History>, ReadError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(alone)
        .busy_timeout(Duration::from_secs(5));
    let mut conn = match options.connect().await {
        Ok(conn) => conn,
        Err(error) => return Ok(Err(error.into())),
    };
    if let Err(error) = is_readable(&mut conn, name).await {
        return error.downcast::<ReadError>().map(Err).unwrap_or_else(|error| Ok(Err(error)));
    }
    let history = history(&mut conn, days).await;
    if let Err(error) = conn.close().await {
        tracing::warn!("closing '{name}': {error}");
    }
    Ok(history)
}

async fn is_readable(conn: &mut SqliteConnection, name: &str) -> anyhow::Result<()> {
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema").fetch_all(&mut *conn).await?;
    if !["owner", "_sqlx_migrations"].iter().all(|table| tables.iter().any(|t| t == table)) {
        return Err(ReadError::NotOurs(name.to_owned()).into());
    }
    let version: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations").fetch_one(conn).await?;
    match version.cmp(&newest()) {
        std::cmp::Ordering::Less => Err(ReadError::Older(name.to_owned()).into()),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(ReadError::Newer(name.to_owned()).into()),
    }
}

async fn history(conn: &mut SqliteConnection, days: u32) -> anyhow::Result<History> {
    // One snapshot of everything.
    let mut tx = conn.begin().await?;
    let (node, network, made_at): (Vec<u8>, String, i64) = sqlx::query_as("SELECT node, network, made_at FROM owner")
        .fetch_optional(&mut *tx)
        .await?
        .context("no owner")?;
    let dropped: Option<i64> = sqlx::query_scalar("SELECT dropped_known FROM progress").fetch_one(&mut *tx).await?;
    let to: Option<i64> = sqlx::query_scalar("SELECT MAX(at) FROM decisions").fetch_one(&mut *tx).await?;
    let to = Time(to.unwrap_or(made_at));
    let from = Time(made_at.max(dropped.unwrap_or(i64::MIN))).max(to.plus_hours(-24.0 * f64::from(days)));
    let holdings: Vec<String> =
        sqlx::query_scalar("SELECT text FROM notes WHERE name > 'holdings/' AND name < 'holdings0' ORDER BY at")
            .fetch_all(&mut *tx)
            .await?;
    let holdings: serde_json::Result<Vec<Holdings>> = holdings.iter().map(|text| serde_json::from_str(text)).collect();
    let history = History {
        owner: Identity { node: peer_id(node)?, network },
        from,
        to,
        holdings: holdings.context("the notes of balances")?,
        prices: prices(&mut tx, from).await?,
        forwards: forwards(&mut tx, from, to).await?,
        refused: refused(&mut tx, from, to).await?,
    };
    tx.rollback().await?;
    Ok(history)
}

/// Changes that the node confirmed; what was only wanted tells the fee that was in force.
async fn prices(conn: &mut SqliteConnection, from: Time) -> anyhow::Result<Vec<PastPrice>> {
    let rows: Vec<(Vec<u8>, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT peer, at, old, new, outcome FROM (
             SELECT id, peer, at, old, new, outcome FROM changes WHERE at >= ?1
             UNION ALL SELECT 0, peer, at, old, new, outcome FROM decisions WHERE outcome = 0)
         ORDER BY at, id",
    )
    .bind(from.0)
    .fetch_all(conn)
    .await?;
    let price = |(peer, at, old, new, outcome): (Vec<u8>, i64, i64, i64, i64)| {
        let before = Ppm(u32::try_from(old)?);
        let after = if outcome == 1 { Ppm(u32::try_from(new)?) } else { before };
        Ok(PastPrice { peer: peer_id(peer)?, at: Time(at), before, after })
    };
    rows.into_iter().map(price).collect()
}

type Row = (i64, Option<i64>, i64, Option<i64>, i64, i64, i64);

async fn forwards(conn: &mut SqliteConnection, from: Time, to: Time) -> anyhow::Result<Vec<PastForward>> {
    let named: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT scid, peer FROM scids JOIN channels ON channels.id = scids.channel WHERE peer IS NOT NULL",
    )
    .fetch_all(&mut *conn)
    .await?;
    let peers: HashMap<i64, PeerId> =
        named.into_iter().map(|(scid, peer)| Ok((scid, peer_id(peer)?))).collect::<anyhow::Result<_>>()?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT in_scid, out_scid, in_msat, out_msat, status, received, known_at FROM forwards
         WHERE known_at > ?1 AND received BETWEEN ?1 AND ?2 AND status > 0 AND (status < 3 OR failcode = ?3)
         ORDER BY received, in_scid, in_htlc",
    )
    .bind(from.0)
    .bind(to.0)
    .bind(TEMPORARY_CHANNEL_FAILURE)
    .fetch_all(conn)
    .await?;
    let forward = |(in_scid, out_scid, in_msat, out_msat, code, received, known): Row| {
        let Some(out) = out_scid.and_then(|scid| peers.get(&scid)) else { return Ok(None) };
        Ok(Some(PastForward {
            received: Time(received),
            known: Time(known),
            from: peers.get(&in_scid).copied(),
            out: *out,
            in_channel: Scid(in_scid.cast_unsigned()),
            in_msat: Msat(unsigned(in_msat)),
            out_msat: out_msat.map(|msat| Msat(unsigned(msat))),
            status: status(code)?,
        }))
    };
    rows.into_iter().filter_map(|row| forward(row).transpose()).collect()
}

async fn refused(conn: &mut SqliteConnection, from: Time, to: Time) -> anyhow::Result<Vec<PastRefusal>> {
    let named: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT id, peer FROM channels WHERE peer IS NOT NULL").fetch_all(&mut *conn).await?;
    let peers: HashMap<i64, PeerId> =
        named.into_iter().map(|(id, peer)| Ok((id, peer_id(peer)?))).collect::<anyhow::Result<_>>()?;
    let known = |Refused { channel, at, came_back }: Refused| {
        peers.get(&channel).map(|out| PastRefusal { out: *out, at, came_back })
    };
    Ok(refusals::refused(conn, from, to).await?.into_iter().filter_map(known).collect())
}
