//! A forward as a row of the table, and back. It touches no database.

use super::bulk::Cell;
use super::rollups::known_at;
use super::{signed, unsigned};
use crate::domain::{Forward, ForwardKey, ForwardStatus, Msat, Scid, Time};

/// Incoming scid and HTLC id, outgoing scid, msat in, out and earned, status, failcode, received, resolved, created, updated.
pub(super) type Row = (
    i64,
    i64,
    Option<i64>,
    i64,
    Option<i64>,
    Option<i64>,
    i64,
    Option<i64>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

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

pub(super) fn forward(row: Row) -> anyhow::Result<Forward> {
    let (in_scid, htlc, out_scid, in_msat, out_msat, fee, code, failcode, received, resolved, created, updated) = row;
    let scid = |value: i64| Scid(value.cast_unsigned());
    Ok(Forward {
        key: ForwardKey { in_channel: scid(in_scid), in_htlc_id: htlc.cast_unsigned() },
        out_channel: out_scid.map(scid),
        in_msat: Msat(unsigned(in_msat)),
        out_msat: out_msat.map(unsigned).map(Msat),
        fee: fee.map(unsigned).map(Msat),
        status: status(code)?,
        failcode: failcode.map(u32::try_from).transpose()?,
        received: Time(received),
        resolved: resolved.map(Time),
        created_index: created.map(unsigned),
        updated_index: updated.map(unsigned),
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
