//! A forward as a row of the table, and back. It touches no database.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::bulk::Cell;
use super::rollups::known_at;
use super::{signed, unsigned};
use crate::domain::{Forward, ForwardKey, ForwardStatus, Msat, Scid, Time};

/// A key as the ledger keeps and orders it.
pub(super) fn stored(key: ForwardKey) -> (i64, i64) {
    (key.in_channel.0.cast_signed(), key.in_htlc_id.cast_signed())
}

pub(super) fn cells(forward: &Forward, orphan: bool) -> anyhow::Result<[Cell<'static>; 14]> {
    let msat = |amount: Option<Msat>| amount.map(|m| signed(m.0)).transpose().map(Cell::Maybe);
    let index = |index: Option<u64>| index.map(signed).transpose().map(Cell::Maybe);
    Ok([
        Cell::Int(forward.key.in_channel.0.cast_signed()),
        Cell::Int(forward.key.in_htlc_id.cast_signed()),
        Cell::Maybe(forward.out_channel.map(|scid| scid.0.cast_signed())),
        Cell::Int(signed(forward.in_msat.0)?),
        msat(forward.out_msat)?,
        msat(forward.fee)?,
        Cell::Int(code(forward.status)),
        Cell::Maybe(forward.failcode.map(i64::from)),
        Cell::Int(forward.received.0),
        Cell::Maybe(forward.resolved.map(|t| t.0)),
        index(forward.created_index)?,
        index(forward.updated_index)?,
        Cell::Maybe(known_at(forward).map(|t| t.0)),
        Cell::Int(i64::from(orphan)),
    ])
}

pub(super) fn forward(row: &SqliteRow) -> anyhow::Result<Forward> {
    let maybe = |column: usize| row.try_get::<Option<i64>, _>(column);
    let scid = |value: i64| Scid(value.cast_unsigned());
    Ok(Forward {
        key: ForwardKey { in_channel: scid(row.try_get(0)?), in_htlc_id: row.try_get::<i64, _>(1)?.cast_unsigned() },
        out_channel: maybe(2)?.map(scid),
        in_msat: Msat(unsigned(row.try_get(3)?)),
        out_msat: maybe(4)?.map(unsigned).map(Msat),
        fee: maybe(5)?.map(unsigned).map(Msat),
        status: status(row.try_get(6)?)?,
        failcode: maybe(7)?.map(u32::try_from).transpose()?,
        received: Time(row.try_get(8)?),
        resolved: maybe(9)?.map(Time),
        created_index: maybe(10)?.map(unsigned),
        updated_index: maybe(11)?.map(unsigned),
    })
}

fn code(status: ForwardStatus) -> i64 {
    match status {
        ForwardStatus::Offered => 0,
        ForwardStatus::Settled => 1,
        ForwardStatus::Failed => 2,
        ForwardStatus::LocalFailed => 3,
    }
}

pub(super) fn status(code: i64) -> anyhow::Result<ForwardStatus> {
    Ok(match code {
        0 => ForwardStatus::Offered,
        1 => ForwardStatus::Settled,
        2 => ForwardStatus::Failed,
        3 => ForwardStatus::LocalFailed,
        other => anyhow::bail!("status {other} of a forward in the ledger is unknown"),
    })
}
