//! Names of accounts and their row ids. What moves between them is not told here.

use sqlx::SqliteConnection;

use crate::accounts::CostKind;
use crate::domain::ChannelId;

/// Where routing fees come from.
pub(super) const ROUTING: &str = "income/routing";

/// What moves of liquidity may cost: lent to reservations, and spent.
pub(super) const BUDGET: &str = "budget/rebalancing";
/// What moves that are not closed may still cost.
pub(super) const RESERVED: &str = "reserved/rebalancing";
/// What moves have taken out of the budget. What they have cost a channel is booked by payment, with all else that it cost.
pub(super) const SPENT: &str = "spent/rebalancing";

/// The account that a channel's fees go to, and that it pays from.
pub(super) fn account_name(channel: ChannelId) -> String {
    format!("channel/{channel}")
}

/// Where a channel's costs of one kind go.
pub(super) fn cost_account(kind: CostKind) -> &'static str {
    match kind {
        CostKind::Opening => "cost/opening",
        CostKind::Closure => "cost/closure",
        CostKind::Splice => "cost/splice",
        CostKind::Rebalance => "cost/rebalance",
    }
}

/// The row id of an account, if there is one.
pub(super) async fn find(conn: &mut SqliteConnection, name: &str) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("SELECT id FROM accounts WHERE name = ?").bind(name.to_owned()).fetch_optional(conn).await
}

/// What has come into the account minus what has left it.
pub(super) async fn balance(conn: &mut SqliteConnection, name: &str) -> sqlx::Result<i64> {
    let balance: Option<i64> = sqlx::query_scalar(
        "SELECT (SELECT COALESCE(SUM(amount_msat), 0) FROM transfers WHERE to_account = accounts.id)
              - (SELECT COALESCE(SUM(amount_msat), 0) FROM transfers WHERE from_account = accounts.id)
         FROM accounts WHERE name = ?",
    )
    .bind(name.to_owned())
    .fetch_optional(conn)
    .await?;
    Ok(balance.unwrap_or(0))
}

/// The row id of an account, which is made if there is none.
pub(super) async fn account(conn: &mut SqliteConnection, name: &str) -> anyhow::Result<i64> {
    if let Some(id) = find(&mut *conn, name).await? {
        return Ok(id);
    }
    let made = sqlx::query("INSERT INTO accounts (name) VALUES (?)").bind(name.to_owned()).execute(conn).await?;
    Ok(made.last_insert_rowid())
}
