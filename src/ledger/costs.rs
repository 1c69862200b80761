//! What channels cost, as transfers from the channel's account to the account of one kind of cost: once per transaction or payment, by its
//! key. A fee that the bookkeeper corrects is corrected here; an estimate goes when the fact comes. The sums change with the transfers.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::accounts::{account_name, cost_account};
use super::memo::Memo;
use super::periods::Changes;
use super::{Ledger, Transfer, channels, signed};
use crate::accounts::{CostKind, chain_costs, splices};
use crate::domain::{Account, AccountLine, ChannelId, ChannelMoves, Direction, Msat, OwnPayment, PaymentHash, Time};

/// What is not a fact yet.
pub(super) const ESTIMATE: &str = "estimate/";

/// One cost of one channel.
struct Cost {
    key: String,
    channel: ChannelId,
    kind: CostKind,
    msat: u64,
    at: Time,
    memo: &'static str,
}

/// A cost that nobody has told yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub channel: ChannelId,
    pub kind: CostKind,
    /// Which of several of its kind.
    pub which: String,
    pub msat: Msat,
    pub at: Time,
}

impl Ledger {
    /// Takes in the bookkeeper's account of a channel: its transactions' fees, its rebalances, and what it says is left there. `None`: it
    /// has not heard of the channel. Answers transactions whose fees make no sense yet.
    pub async fn record_account(
        &self,
        now: Time,
        channel: ChannelId,
        account: Option<&Account>,
    ) -> anyhow::Result<Vec<String>> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let id = channels::known_channel(&mut tx, &mut memo, channel, None, None).await?;
        let mut odd = Vec::new();
        if let Some(account) = account {
            odd = book_account(&mut tx, &mut memo, channel, account).await?;
        }
        sqlx::query(
            "INSERT INTO lives (channel, opened_at, balance_msat) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET opened_at = COALESCE(MIN(opened_at, excluded.opened_at), excluded.opened_at, opened_at),
                 balance_msat = excluded.balance_msat, ask_at = iif(again_at > ?4, again_at, NULL)",
        )
        .bind(id)
        .bind(account.and_then(crate::accounts::chain::opened_at).map(|at| at.0))
        .bind(account.map(|account| account.balance_msat))
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(odd)
    }

    /// Takes in payments of our own, and how far the node's record has been read.
    pub async fn record_payments(&self, page: &ChannelMoves) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        book_payments(&mut tx, &mut memo, &page.payments).await?;
        if let Some(last) = page.last {
            sqlx::query("UPDATE coins SET channel = MAX(channel, ?)").bind(signed(last)?).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }

    /// Books what nobody has told; nothing where a fact of that kind is there already. An estimate stays on its day when it gets better.
    pub async fn record_estimates(&self, estimates: &[Estimate]) -> anyhow::Result<()> {
        if estimates.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let mut changes = Changes::default();
        for Estimate { channel, kind, which, msat, at } in estimates {
            if is_known(&mut tx, *channel, *kind).await? {
                continue;
            }
            let key = format!("{ESTIMATE}{channel}/{}/{which}", kind.name());
            let before = find(&mut tx, &key).await?.map(|(_, at, _)| Time(at));
            let (at, text) = (before.unwrap_or(*at), "estimated, no fact yet");
            let cost = Cost { key, channel: *channel, kind: *kind, msat: msat.0, at, memo: text };
            put(&mut tx, &mut memo, &cost, &mut changes).await?;
        }
        changes.write(&mut tx).await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }
}

impl Ledger {
    /// Transfers of a span of time, oldest first; of those at its very beginning only what comes after this key.
    pub async fn journal(&self, (from, to): (Time, Time), after: &str, limit: u32) -> anyhow::Result<Vec<Transfer>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String, i64, String, String, i64, String)> = sqlx::query_as(
            "SELECT t.key, t.at, f.name, o.name, t.amount_msat, t.memo FROM transfers AS t
             JOIN accounts AS f ON f.id = t.from_account JOIN accounts AS o ON o.id = t.to_account
             WHERE t.at >= ?1 AND t.at <= ?2 AND (t.at > ?1 OR t.key > ?3) ORDER BY t.at, t.key LIMIT ?4",
        )
        .bind(from.0)
        .bind(to.0)
        .bind(after.to_owned())
        .bind(limit)
        .fetch_all(reader.conn())
        .await?;
        let line = |(key, at, from, to, msat, memo): (String, i64, String, String, i64, String)| {
            let amount = Msat(super::unsigned(msat));
            Transfer { key, at: Time(at), from, to, amount, memo }
        };
        Ok(rows.into_iter().map(line).collect())
    }
}

/// Has the bookkeeper told a cost of that kind?
async fn is_known(conn: &mut SqliteConnection, channel: ChannelId, kind: CostKind) -> anyhow::Result<bool> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM transfers WHERE key > ?1 AND key < ?1 || 'g'
             AND to_account = (SELECT id FROM accounts WHERE name = ?2))",
    )
    .bind(format!("chain/{channel}/"))
    .bind(cost_account(kind))
    .fetch_one(conn)
    .await?)
}

async fn book_account(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    channel: ChannelId,
    account: &Account,
) -> anyhow::Result<Vec<String>> {
    let (costs, odd) = chain_costs(account);
    let mut changes = Changes::default();
    for cost in costs {
        let key = format!("chain/{channel}/{}", cost.txid);
        let memo_text = match cost.kind {
            CostKind::Opening => "opening transaction",
            CostKind::Splice => "splice transaction",
            _ => "closing transaction, or one that sweeps what it left",
        };
        let cost = Cost { key, channel, kind: cost.kind, msat: cost.msat, at: cost.at, memo: memo_text };
        put(conn, memo, &cost, &mut changes).await?;
    }
    take_estimates(conn, memo, channel, &mut changes).await?;
    changes.write(conn).await?;
    let id = channels::known_channel(conn, memo, channel, None, None).await?;
    super::splices::note_splices(conn, id, &splices(account)).await?;
    let payments: Vec<OwnPayment> = account
        .lines
        .iter()
        .filter_map(|line| match line {
            AccountLine::Rebalance(payment) => Some(*payment),
            _ => None,
        })
        .collect();
    // The bookkeeper says that they came back, even if we have not seen the other half.
    book_rebalances(conn, memo, &payments).await?;
    Ok(odd.iter().map(ToString::to_string).collect())
}

/// The bookkeeper has spoken: what was guessed of this channel goes.
async fn take_estimates(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    channel: ChannelId,
    changes: &mut Changes,
) -> anyhow::Result<()> {
    let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM transfers WHERE key > ?1 AND key < ?1 || 'z'")
        .bind(format!("{ESTIMATE}{channel}/"))
        .fetch_all(&mut *conn)
        .await?;
    for key in keys {
        take(conn, memo, (&key, channel), changes).await?;
    }
    Ok(())
}

async fn book_payments(conn: &mut SqliteConnection, memo: &mut Memo, payments: &[OwnPayment]) -> anyhow::Result<()> {
    for one in payments {
        let id = channels::known_channel(conn, memo, one.channel, None, None).await?;
        sqlx::query(
            "INSERT INTO own_payments (payment, direction, channel, part, amount_msat, fee_msat, at) VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(one.payment.0.to_vec())
        .bind(i64::from(one.direction == Direction::In))
        .bind(id)
        .bind(signed(one.part)?)
        .bind(signed(one.amount.0)?)
        .bind(signed(one.fee.0)?)
        .bind(one.at.0)
        .execute(&mut *conn)
        .await?;
    }
    let hashes: BTreeSet<PaymentHash> = payments.iter().map(|one| one.payment).collect();
    let mut rebalances = Vec::new();
    for payment in hashes {
        rebalances.extend(both_halves(conn, memo, payment).await?);
    }
    book_rebalances(conn, memo, &rebalances).await
}

/// What left by our channels, if some of the same payment came back.
async fn both_halves(
    conn: &mut SqliteConnection,
    memo: &Memo,
    payment: PaymentHash,
) -> anyhow::Result<Vec<OwnPayment>> {
    let rows: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT channel, part, amount_msat, fee_msat, at FROM own_payments WHERE payment = ?1 AND direction = 0
             AND EXISTS (SELECT 1 FROM own_payments WHERE payment = ?1 AND direction = 1)",
    )
    .bind(payment.0.to_vec())
    .fetch_all(conn)
    .await?;
    let half = |(channel, part, amount, fee, at): (i64, i64, i64, i64, i64)| {
        Some(OwnPayment {
            payment,
            part: u64::try_from(part).ok()?,
            channel: *memo.ids.get(&channel)?,
            direction: Direction::Out,
            amount: Msat(u64::try_from(amount).ok()?),
            fee: Msat(u64::try_from(fee).ok()?),
            at: Time(at),
        })
    };
    Ok(rows.into_iter().filter_map(half).collect())
}

/// Once per payment and part, whoever told of it first.
async fn book_rebalances(conn: &mut SqliteConnection, memo: &mut Memo, payments: &[OwnPayment]) -> anyhow::Result<()> {
    let mut changes = Changes::default();
    for one in payments.iter().filter(|one| one.direction == Direction::Out && one.fee > Msat::ZERO) {
        let key = format!("moved/{}/{}", one.payment, one.part);
        let cost = Cost {
            key,
            channel: one.channel,
            kind: CostKind::Rebalance,
            msat: one.fee.0,
            at: one.at,
            memo: "payment to ourselves",
        };
        put(conn, memo, &cost, &mut changes).await?;
    }
    changes.write(conn).await
}

/// Writes a cost, or corrects the one that is there.
async fn put(conn: &mut SqliteConnection, memo: &mut Memo, cost: &Cost, changes: &mut Changes) -> anyhow::Result<()> {
    let found: Option<(i64, i64, String)> = find(conn, &cost.key).await?;
    let amount = signed(cost.msat)?;
    let to = cost_account(cost.kind);
    if found.as_ref().is_some_and(|(msat, at, name)| (*msat, *at, name.as_str()) == (amount, cost.at.0, to)) {
        return Ok(());
    }
    take(conn, memo, (&cost.key, cost.channel), changes).await?;
    let from = memo.account(conn, &account_name(cost.channel)).await?;
    let to = memo.account(conn, to).await?;
    let id = channels::known_channel(conn, memo, cost.channel, None, None).await?;
    sqlx::query(
        "INSERT INTO transfers (key, at, from_account, to_account, amount_msat, memo) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(cost.key.clone())
    .bind(cost.at.0)
    .bind(from)
    .bind(to)
    .bind(amount)
    .bind(cost.memo)
    .execute(conn)
    .await?;
    changes.cost(cost.at, id, (cost.kind, amount));
    Ok(())
}

/// Takes a cost back, with its part of the sums.
async fn take(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    (key, channel): (&str, ChannelId),
    changes: &mut Changes,
) -> anyhow::Result<()> {
    let Some((msat, at, name)) = find(conn, key).await? else { return Ok(()) };
    let Some(kind) = CostKind::ALL.into_iter().find(|kind| cost_account(*kind) == name) else { return Ok(()) };
    let id = channels::known_channel(conn, memo, channel, None, None).await?;
    sqlx::query("DELETE FROM transfers WHERE key = ?").bind(key.to_owned()).execute(conn).await?;
    changes.cost(Time(at), id, (kind, -msat));
    Ok(())
}

async fn find(conn: &mut SqliteConnection, key: &str) -> anyhow::Result<Option<(i64, i64, String)>> {
    Ok(sqlx::query_as(
        "SELECT t.amount_msat, t.at, a.name FROM transfers AS t JOIN accounts AS a ON a.id = t.to_account WHERE t.key = ?",
    )
    .bind(key.to_owned())
    .fetch_optional(conn)
    .await?)
}
