//! Core Lightning's books in the words of the house: `listchainmoves`, `listchannelmoves`, `bkpr-*`, `listclosedchannels`,
//! `listfunds`. Never talks to a node, and never adds anything up but an account's own lines.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::books::Books;
use super::cln::CoreLightning;
use super::cln_row::{Row, count, flag, id, msat, seconds, text};
use super::cln_wire::side;
use super::{NodeError, cln_row};
use crate::domain::{
    Account, AccountLine, ChainMove, ChainTag, ChannelId, ChannelMoves, ClosedChannel, CoinAccount, Direction,
    IncomeLine, Msat, OwnPayment, Time, TxId, WalletCoins,
};

/// What Core Lightning answers when there is no such account.
const NO_SUCH_ACCOUNT: i64 = -32602;

/// `listchainmoves`
pub fn chain_moves(answer: &Value) -> Result<Vec<ChainMove>, NodeError> {
    let rows = Row::list("listchainmoves", answer, "chainmoves")?;
    let line = |row: &Row<'_>| {
        let account = match row.need("account_id", text)? {
            "wallet" => CoinAccount::Wallet,
            other => other.parse().map_or(CoinAccount::External, CoinAccount::Channel),
        };
        let tag = match row.need("primary_tag", text)? {
            "channel_open" | "channel_proposed" => ChainTag::Open,
            "channel_close" => ChainTag::Close,
            "delayed_to_us" => ChainTag::DelayedToUs,
            "anchor" => ChainTag::Anchor,
            "deposit" => ChainTag::Deposit,
            "penalty" => ChainTag::Penalty,
            _ => ChainTag::Other,
        };
        let extra = row.like("extra_tags", cln_row::rows).map(Vec::as_slice).unwrap_or_default();
        Ok(ChainMove {
            index: row.need("created_index", count)?,
            account,
            origin: row.like("originating_account", id),
            tag,
            peer: row.like("peer_id", id),
            splice: extra.iter().any(|tag| tag.as_str() == Some("splice")),
            at: row.need("timestamp", seconds)?,
        })
    };
    rows.iter().map(line).collect()
}

/// `listchannelmoves`: most of it are forwards, which are known from their own list.
pub fn channel_moves(answer: &Value) -> Result<ChannelMoves, NodeError> {
    let rows = Row::list("listchannelmoves", answer, "channelmoves")?;
    let mut page = ChannelMoves { rows: rows.len() as u64, ..ChannelMoves::default() };
    for row in &rows {
        page.last = page.last.max(Some(row.need("created_index", count)?));
        if row.need("primary_tag", text)? == "invoice" {
            page.payments.extend(own_payment(row, "account_id", "payment_hash")?);
        }
    }
    Ok(page)
}

/// `None`: of no channel, or by no hash.
fn own_payment<'a>(row: &Row<'a>, account: &str, payment: &str) -> Result<Option<OwnPayment>, NodeError> {
    let (Some(channel), Some(payment)) = (row.like(account, id), row.want(payment, id)?) else { return Ok(None) };
    let (credit, debit) = (row.need("credit_msat", msat)?, row.need("debit_msat", msat)?);
    let (direction, amount) = if debit.0 > 0 { (Direction::Out, debit) } else { (Direction::In, credit) };
    Ok(Some(OwnPayment {
        payment,
        part: row.want("part_id", count)?.unwrap_or_default(),
        channel,
        direction,
        amount,
        fee: row.want("fees_msat", msat)?.filter(|_| direction == Direction::Out).unwrap_or_default(),
        at: row.need("timestamp", seconds)?,
    }))
}

/// `bkpr-listaccountevents` of one channel.
pub fn account(answer: &Value) -> Result<Account, NodeError> {
    let mut account = Account::default();
    for row in Row::list("bkpr-listaccountevents", answer, "events")? {
        let (credit, debit) = (row.need("credit_msat", msat)?, row.need("debit_msat", msat)?);
        let at: Time = row.need("timestamp", seconds)?;
        if row.need("type", text)? == "onchain_fee" {
            account.lines.push(AccountLine::Fee { txid: row.need("txid", id)?, credit, debit, at });
            continue;
        }
        account.balance_msat = [signed(&row, credit)?, -signed(&row, debit)?]
            .into_iter()
            .try_fold(account.balance_msat, i64::checked_add)
            .ok_or_else(|| row.garbled("the account's balance is beyond all bounds"))?;
        match row.need("tag", text)? {
            "channel_open" => {
                account.lines.push(AccountLine::Opened { txid: row.need("outpoint", outpoint)?, credit, at });
            }
            "channel_close" => account.lines.push(AccountLine::Spent { txid: row.need("txid", id)?, debit, at }),
            "invoice" if row.like("is_rebalance", flag) == Some(true) => {
                account.lines.extend(own_payment(&row, "account", "payment_id")?.map(AccountLine::Rebalance));
            }
            _ => {}
        }
    }
    Ok(account)
}

fn signed(row: &Row<'_>, amount: Msat) -> Result<i64, NodeError> {
    i64::try_from(amount.0).map_err(|_| row.garbled("an amount is beyond all bounds"))
}

fn outpoint(value: &Value) -> Option<TxId> {
    text(value)?.split(':').next()?.parse().ok()
}

/// `bkpr-listincome`
pub fn income(answer: &Value) -> Result<Vec<IncomeLine>, NodeError> {
    let rows = Row::list("bkpr-listincome", answer, "income_events")?;
    let line = |row: &Row<'_>| {
        Ok(IncomeLine {
            channel: row.like("account", id),
            tag: row.need("tag", text)?.to_owned(),
            credit: row.need("credit_msat", msat)?,
            debit: row.need("debit_msat", msat)?,
        })
    };
    rows.iter().map(line).collect()
}

/// `listclosedchannels`; older nodes leave out the ids of some.
pub fn closed_channels(answer: &Value) -> Result<Vec<ClosedChannel>, NodeError> {
    let mut closed = Vec::new();
    for row in Row::list("listclosedchannels", answer, "closedchannels")? {
        let Some(channel) = row.want("channel_id", id)? else { continue };
        closed.push(ClosedChannel {
            channel,
            peer: row.like("peer_id", id),
            scid: row.want("short_channel_id", id)?,
            alias: row.part("alias").and_then(|alias| alias.like("local", id)),
            capacity: row.need("total_msat", msat)?,
            opener: row.like("opener", side),
            closer: row.like("closer", side),
            cause: row.like("close_cause", text).map(str::to_owned),
            last_fee: row.want("last_commitment_fee_msat", msat)?,
        });
    }
    Ok(closed)
}

/// `listfunds`: outputs that are ours to spend, now or once they are confirmed.
pub fn wallet(answer: &Value) -> Result<WalletCoins, NodeError> {
    let mut coins = WalletCoins::default();
    for row in Row::list("listfunds", answer, "outputs")? {
        let amount = row.need("amount_msat", msat)?;
        let sum = match row.need("status", text)? {
            "confirmed" => &mut coins.confirmed,
            "unconfirmed" | "immature" => &mut coins.unconfirmed,
            _ => continue,
        };
        *sum = sum.checked_add(amount).ok_or_else(|| row.garbled("the sum is beyond all bounds"))?;
    }
    Ok(coins)
}

#[async_trait]
impl Books for CoreLightning {
    async fn chain_moves(&self, start: u64, limit: u64) -> Result<Vec<ChainMove>, NodeError> {
        chain_moves(&self.call("listchainmoves", page(start, limit)).await?)
    }

    async fn channel_moves(&self, start: u64, limit: u64) -> Result<ChannelMoves, NodeError> {
        channel_moves(&self.call("listchannelmoves", page(start, limit)).await?)
    }

    async fn account(&self, channel: ChannelId) -> Result<Option<Account>, NodeError> {
        match self.call("bkpr-listaccountevents", json!({ "account": channel.to_string() })).await {
            Ok(answer) => account(&answer).map(Some),
            Err(NodeError::Refused { code: NO_SUCH_ACCOUNT, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn income(&self, from: Time, to: Time) -> Result<Vec<IncomeLine>, NodeError> {
        let span = json!({ "start_time": from.secs(), "end_time": to.secs() });
        income(&self.call("bkpr-listincome", span).await?)
    }

    async fn closed_channels(&self) -> Result<Vec<ClosedChannel>, NodeError> {
        closed_channels(&self.call("listclosedchannels", json!({})).await?)
    }

    async fn wallet(&self) -> Result<WalletCoins, NodeError> {
        wallet(&self.call("listfunds", json!({})).await?)
    }
}

fn page(start: u64, limit: u64) -> Value {
    json!({ "index": "created", "start": start, "limit": limit })
}
