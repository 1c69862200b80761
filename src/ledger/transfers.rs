//! Double entry: every amount goes from one account to another, once per key, so that all accounts together are always 0. Transfers
//! are never changed, with two exceptions: the daily posting of a channel's routing fees grows with the forwards that it sums up (each of
//! those counts once, by its own key), and a cost is what the bookkeeper said last ([`super::costs`]).

use sqlx::SqliteConnection;

use super::accounts::{self, ROUTING, account, account_name};
use super::bulk::{Bulk, Cell};
use super::memo::Memo;
use super::{Ledger, Transfer, signed};
use crate::domain::{ChannelId, Time};

/// Keys that start so are made by the ledger only: postings of routing fees, and what belongs to moves.
const POSTING: &str = "routed/";
pub(super) const MOVES: &str = "rebalance/";

const POSTINGS: Bulk = Bulk {
    head: "INSERT INTO transfers (key, at, from_account, to_account, amount_msat, memo)",
    tail: "ON CONFLICT (key) DO UPDATE SET amount_msat = amount_msat + excluded.amount_msat",
};

impl Ledger {
    /// Records a transfer; `false` if its key was there already (nothing changes then).
    pub async fn record_transfer(&self, transfer: &Transfer) -> anyhow::Result<bool> {
        for own in [POSTING, MOVES] {
            anyhow::ensure!(!transfer.key.starts_with(own), "transfers '{own}...' are made by the ledger itself");
        }
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        let new = write(&mut tx, transfer).await?;
        if new {
            tx.commit().await?;
        }
        Ok(new)
    }

    /// What has come into the account minus what has left it.
    pub async fn balance_of(&self, account: &str) -> anyhow::Result<i64> {
        let mut reader = self.reader().await?;
        Ok(accounts::balance(reader.conn(), account).await?)
    }
}

/// Writes a transfer; `false` if its key was there already.
pub(super) async fn write(conn: &mut SqliteConnection, transfer: &Transfer) -> anyhow::Result<bool> {
    anyhow::ensure!(transfer.from != transfer.to, "a transfer needs two accounts, not '{}' twice", transfer.from);
    let (from, to) = (account(conn, &transfer.from).await?, account(conn, &transfer.to).await?);
    let done = sqlx::query(
        "INSERT INTO transfers (key, at, from_account, to_account, amount_msat, memo) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(transfer.key.clone())
    .bind(transfer.at.0)
    .bind(from)
    .bind(to)
    .bind(signed(transfer.amount.0)?)
    .bind(transfer.memo.clone())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Lets the daily postings of routing fees grow: ((channel, day), msat).
pub(super) async fn post(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    fees: impl Iterator<Item = ((i64, i64), i64)>,
) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    let mut from = None;
    for ((id, day), fee) in fees {
        let Some(channel) = memo.ids.get(&id).copied() else { continue };
        let to = memo.account(conn, &account_name(channel)).await?;
        from = Some(memo.account(conn, ROUTING).await?);
        // The day comes first: the postings that grow lie side by side.
        let start = Time::start_of_day(day);
        lines.push((format!("{POSTING}{}/{channel}", start.date()), start.0, to, fee));
    }
    let Some(from) = from.map(Cell::Int) else { return Ok(()) };
    lines.sort_unstable();
    let rows: Vec<_> = lines
        .iter()
        .map(|(key, at, to, fee)| {
            [
                Cell::Text(key),
                Cell::Int(*at),
                from,
                Cell::Int(*to),
                Cell::Int(*fee),
                Cell::Text("routing fees of the day"),
            ]
        })
        .collect();
    POSTINGS.write(conn, &rows).await
}

/// The fees of a channel that turned out to be another go to that one's account, day by day.
pub(super) async fn move_postings(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    was: ChannelId,
    is: ChannelId,
) -> anyhow::Result<()> {
    let Some(from) = accounts::find(&mut *conn, &account_name(was)).await? else { return Ok(()) };
    let to = memo.account(conn, &account_name(is)).await?;
    // The old channel's name is what the key ends with.
    let (old, new) = (format!("/{was}"), format!("/{is}"));
    for sql in [
        "INSERT INTO transfers (key, at, from_account, to_account, amount_msat, memo)
         SELECT SUBSTR(key, 1, LENGTH(key) - LENGTH(?2)) || ?3, at, from_account, ?4, amount_msat, memo
         FROM transfers WHERE to_account = ?1 AND key >= 'routed/' AND key < 'routed0' AND SUBSTR(key, -LENGTH(?2)) = ?2
         ON CONFLICT (key) DO UPDATE SET amount_msat = amount_msat + excluded.amount_msat",
        "DELETE FROM transfers
         WHERE to_account = ?1 AND key >= 'routed/' AND key < 'routed0' AND SUBSTR(key, -LENGTH(?2)) = ?2",
        "DELETE FROM accounts WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM transfers WHERE to_account = ?1)
             AND NOT EXISTS (SELECT 1 FROM transfers WHERE from_account = ?1)",
    ] {
        sqlx::query(sql).bind(from).bind(old.clone()).bind(new.clone()).bind(to).execute(&mut *conn).await?;
    }
    memo.accounts.remove(&account_name(was));
    Ok(())
}
