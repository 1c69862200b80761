//! What the ledger must keep, told as examples and as properties.

mod books;
mod budget;
mod channels;
mod decisions;
mod file;
mod forwards;
mod lives;
mod many;
mod moves;
mod sums;
#[path = "../../../benches/synthetic/mod.rs"]
mod synthetic;
mod transfers;

use sqlx::Row as _;

use super::*;
use crate::domain;
use crate::domain::forward::TEMPORARY_CHANNEL_FAILURE;
use crate::domain::{Channel, Forward, ForwardIndex, ForwardKey, ForwardStatus, Identity, Scid};
use synthetic::{channel, channel_id as cid, owner, peer, scid};

const NOON: Time = Time::from_secs(1_704_110_400);
const HOUR: i64 = 3600;

async fn ledger() -> Ledger {
    Ledger::in_memory(&owner(), NOON).await.unwrap()
}

/// With channels 0, 1 and 2 noted.
async fn noted() -> Ledger {
    let ledger = ledger().await;
    ledger.note_channels(NOON, &[channel(0), channel(1), channel(2)]).await.unwrap();
    ledger
}

/// A settled forward from channel 0 to channel 1: 1,000,000 msat out for a fee of 100, one second after noon.
fn settled(htlc: u64) -> Forward {
    Forward {
        key: ForwardKey { in_channel: scid(0), in_htlc_id: htlc },
        out_channel: Some(scid(1)),
        in_msat: Msat(1_000_100),
        out_msat: Some(Msat(1_000_000)),
        fee: Some(Msat(100)),
        status: ForwardStatus::Settled,
        failcode: None,
        received: NOON,
        resolved: Some(NOON.plus_secs(1)),
        created_index: Some(htlc + 1),
        updated_index: Some(htlc + 1),
    }
}

fn offered(htlc: u64) -> Forward {
    Forward { status: ForwardStatus::Offered, resolved: None, updated_index: None, ..settled(htlc) }
}

fn starved(htlc: u64) -> Forward {
    Forward {
        out_msat: None,
        fee: None,
        status: ForwardStatus::LocalFailed,
        failcode: Some(TEMPORARY_CHANNEL_FAILURE),
        ..offered(htlc)
    }
}

async fn record(ledger: &Ledger, forwards: &[Forward]) -> (u64, u64) {
    let recorded = ledger.record_forwards(forwards, None).await.unwrap();
    (recorded.new, recorded.changed)
}

async fn tamper(ledger: &Ledger, sql: &'static str) {
    let mut writer = ledger.writer().await.unwrap();
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut writer.conn).await.unwrap();
    sqlx::query(sql).execute(&mut writer.conn).await.unwrap();
}

async fn problems(ledger: &Ledger) -> Vec<String> {
    ledger.check(NOON.plus_secs(HOUR)).await.unwrap().problems
}

/// All that the ledger says of forwards, by names that do not depend on the order in which rows were made.
async fn dump(ledger: &Ledger) -> Vec<String> {
    let mut writer = ledger.writer().await.unwrap();
    let mut lines = Vec::new();
    for (what, sql) in [
        ("forward", "SELECT * FROM forwards"),
        ("scid", "SELECT scid, HEX(channel_id), HEX(peer), placeholder FROM scids JOIN channels ON id = channel"),
        (
            "hour",
            "SELECT hour, HEX(channel_id), in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, failed, local_failed,
                 starved FROM rollups JOIN channels ON id = channel
             WHERE in_count + out_count + failed + local_failed > 0",
        ),
        ("node", "SELECT * FROM node_hours WHERE settled + failed + local_failed > 0"),
        (
            "total",
            "SELECT HEX(channel_id), in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, failed, local_failed,
                 starved, in_failed, last_forward FROM totals JOIN channels ON id = channel",
        ),
        (
            "transfer",
            "SELECT key, at, f.name, t.name, amount_msat, memo FROM transfers JOIN accounts AS f ON f.id = from_account
             JOIN accounts AS t ON t.id = to_account",
        ),
        ("seen", "SELECT seen FROM progress"),
    ] {
        let rows = sqlx::query(sql).fetch_all(&mut writer.conn).await.unwrap();
        lines.extend(rows.iter().map(|row| format!("{what} {}", (0..row.len()).map(|n| text(row, n)).collect::<String>())));
    }
    lines.sort();
    lines
}

fn text(row: &sqlx::sqlite::SqliteRow, column: usize) -> String {
    match row.try_get_unchecked::<Option<String>, _>(column).unwrap() {
        Some(value) => format!("{value} "),
        None => "- ".to_owned(),
    }
}
