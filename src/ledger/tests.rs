//! What the ledger must keep, told as examples and as properties.

use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;
use sqlx::Row as _;
use tempfile::TempDir;

use super::*;
use crate::domain::forward::TEMPORARY_CHANNEL_FAILURE;
use crate::domain::{Channel, Flow, FlowClass, Forward, ForwardKey, ForwardStatus, Identity, Scid};
use crate::domain::{ChannelName, ForwardIndex};

use crate::domain;
#[path = "../../benches/synthetic/mod.rs"]
mod synthetic;
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
        (
            "pair",
            "SELECT day, HEX(i.channel_id), HEX(o.channel_id), msat FROM pairs JOIN channels AS i ON i.id = incoming
             JOIN channels AS o ON o.id = outgoing WHERE msat <> 0",
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

#[tokio::test]
async fn unresolved_forwards_take_turns() {
    let ledger = noted().await;
    record(&ledger, &[offered(1), settled(2), offered(3), offered(4)]).await;
    let later = NOON.plus_secs(60);
    assert_eq!(ledger.unresolved(later, 0, 2).await.unwrap(), [2, 4]);
    assert_eq!(ledger.unresolved(later, 4, 2).await.unwrap(), [5]);
    assert_eq!(ledger.unresolved(NOON, 0, 2).await.unwrap(), [0; 0]);
}

#[tokio::test]
async fn a_forward_counts_once_from_whichever_side_it_comes() {
    // The notification knows no created_index, the list does.
    let notified = Forward { created_index: None, ..settled(7) };
    let listed = Forward { updated_index: Some(3), ..settled(7) };
    let notified = Forward { updated_index: Some(3), ..notified };
    for order in [
        vec![offered(7), notified.clone(), listed.clone()],
        vec![listed.clone(), offered(7), notified.clone()],
        vec![notified.clone(), listed.clone(), listed.clone(), offered(7)],
    ] {
        let ledger = noted().await;
        let first = record(&ledger, &order[..1]).await;
        assert_eq!(first, (1, 0));
        record(&ledger, &order[1..]).await;
        assert_eq!(record(&ledger, &order).await, (0, 0), "a repetition changes nothing");
        let totals = ledger.totals().await.unwrap();
        let (incoming, out) = (totals[&cid(0)], totals[&cid(1)]);
        assert_eq!((out.out_msat, out.out_count, out.fees_earned_msat, out.fees_brought_msat), (1_000_000, 1, 100, 0));
        assert_eq!(
            (incoming.in_msat, incoming.in_count, incoming.fees_earned_msat, incoming.fees_brought_msat),
            (1_000_100, 1, 0, 100)
        );
        assert_eq!(ledger.balance_of("income/routing").await.unwrap(), -100);
        assert_eq!(ledger.balance_of(&format!("channel/{}", cid(1))).await.unwrap(), 100);
        assert_eq!(problems(&ledger).await, [""; 0]);
    }
}

#[tokio::test]
async fn an_outcome_is_never_replaced() {
    let ledger = noted().await;
    record(&ledger, &[settled(1)]).await;
    let failed = Forward { status: ForwardStatus::Failed, ..settled(1) };
    assert_eq!(record(&ledger, &[failed, offered(1)]).await, (0, 0));
    assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, 1);
}

#[tokio::test]
async fn positions_are_saved_with_the_rows_and_never_go_back() {
    let ledger = noted().await;
    for (index, to, created, updated) in
        [(ForwardIndex::Created, 5, 5, 0), (ForwardIndex::Updated, 9, 5, 9), (ForwardIndex::Created, 2, 5, 9)]
    {
        ledger.record_forwards(&[settled(to)], Some((index, to))).await.unwrap();
        assert_eq!(ledger.positions().await.unwrap(), Positions { created, updated });
    }
    ledger.record_forwards(&[], Some((ForwardIndex::Created, 6))).await.unwrap();
    assert_eq!(ledger.positions().await.unwrap().created, 6);
    let absurd = Forward { in_msat: Msat(u64::MAX), ..settled(20) };
    ledger.record_forwards(&[settled(19), absurd], Some((ForwardIndex::Created, 20))).await.unwrap_err();
    assert_eq!(ledger.positions().await.unwrap().created, 6, "a batch is taken in whole or not at all");
    assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, 3);
    assert_eq!(record(&ledger, &[settled(19)]).await, (1, 0), "and the next one is none the worse for it");
}

#[tokio::test]
async fn forwards_of_an_old_scid_stay_with_the_channel() {
    let ledger = noted().await;
    record(&ledger, &[settled(1)]).await;
    let spliced = Channel { scid: Some(scid(77)), ..channel(1) };
    ledger.note_channels(NOON, std::slice::from_ref(&spliced)).await.unwrap();
    record(&ledger, &[Forward { out_channel: Some(scid(77)), ..settled(2) }]).await;
    record(&ledger, &[Forward { out_channel: spliced.alias, ..settled(3) }]).await;
    assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, 3);
    assert_eq!(ledger.unknown_scids(10).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_placeholder_has_collected_moves_to_the_channel() {
    for (how, known_before) in [("listed", false), ("named", false), ("named", true), ("listed", true)] {
        let ledger = ledger().await;
        if known_before {
            let spliced = Channel { scid: Some(scid(77)), alias: None, ..channel(1) };
            ledger.note_channels(NOON, &[spliced]).await.unwrap();
            record(&ledger, &[Forward { out_channel: Some(scid(77)), ..settled(9) }]).await;
        }
        let lost = Forward { status: ForwardStatus::Failed, ..settled(3) };
        record(&ledger, &[lost, settled(1), settled(2), starved(4)]).await;
        assert_eq!(ledger.unknown_scids(10).await.unwrap(), [scid(0), scid(1)]);
        let name = ChannelName { channel_id: cid(1), peer: Some(peer(1)) };
        match how {
            "named" => ledger.name_scid(scid(1), Some(&name)).await.unwrap(),
            _ => ledger.note_channels(NOON, &[channel(1)]).await.unwrap(),
        }
        ledger.name_scid(scid(0), None).await.unwrap();
        assert_eq!(ledger.unknown_scids(10).await.unwrap(), [], "nobody is asked twice");
        let before = u64::from(known_before);
        let total = ledger.totals().await.unwrap()[&cid(1)];
        assert_eq!((total.out_count, total.failed, total.starved), (2 + before, 1, 1), "{how} {known_before}");
        let account = format!("channel/{}", cid(1));
        assert_eq!(ledger.balance_of(&account).await.unwrap(), 200 + 100 * i64::try_from(before).unwrap());
        let days = ledger.day_sums(NOON, 7).await.unwrap();
        assert_eq!(days[&cid(1)].days.iter().map(|d| d.out_count).sum::<u64>(), 2 + before);
        let demand = ledger.demand(NOON.plus_secs(-1), NOON.plus_secs(2)).await.unwrap();
        assert_eq!(
            demand.iter().map(|d| (d.out, d.from_peer, d.settled, d.starved)).collect::<Vec<_>>(),
            [(cid(1), None, 2 + before, 1)]
        );
        assert_eq!(problems(&ledger).await, [""; 0]);
    }
}

#[tokio::test]
async fn ways_count_once_fade_and_move_with_their_channels() {
    let ledger = ledger().await;
    ledger.note_channels(NOON, &[channel(0)]).await.unwrap();
    let long_ago = |days: i64, htlc| {
        let at = NOON.plus_secs(-days * 24 * HOUR);
        Forward { received: at, resolved: Some(at), ..settled(htlc) }
    };
    record(&ledger, &[settled(1), offered(2), long_ago(14, 3), long_ago(60, 4), starved(5)]).await;
    record(&ledger, &[settled(1), long_ago(14, 3)]).await;
    assert_eq!(ledger.pairs(NOON).await.unwrap(), [], "nobody knows yet who is behind the way out");
    ledger.note_channels(NOON, &[Channel { scid: Some(scid(77)), alias: None, ..channel(1) }]).await.unwrap();
    record(&ledger, &[Forward { out_channel: Some(scid(77)), ..settled(6) }]).await;
    let name = ChannelName { channel_id: cid(1), peer: Some(peer(1)) };
    ledger.name_scid(scid(1), Some(&name)).await.unwrap();
    let pair = |msat| crate::fees::Pair { from: peer(0), to: peer(1), msat };
    assert_eq!(ledger.pairs(NOON).await.unwrap(), [pair(2_500_000.0)]);
    let later = NOON.plus_secs(14 * 24 * HOUR);
    assert_eq!(ledger.pairs(later).await.unwrap(), [pair(1_250_000.0)]);
    assert_eq!(ledger.pairs(NOON.plus_secs(-24 * HOUR)).await.unwrap().len(), 1, "what is yet to come is left out");
    // A placeholder at the way in moves as well.
    record(&ledger, &[Forward { key: ForwardKey { in_channel: scid(78), in_htlc_id: 1 }, ..settled(7) }]).await;
    assert_eq!(ledger.pairs(NOON).await.unwrap(), [pair(2_500_000.0)]);
    let name = ChannelName { channel_id: cid(0), peer: Some(peer(0)) };
    ledger.name_scid(scid(78), Some(&name)).await.unwrap();
    assert_eq!(ledger.pairs(NOON).await.unwrap(), [pair(3_500_000.0)]);
}

#[tokio::test]
async fn failures_toward_nowhere_make_no_channels() {
    let ledger = noted().await;
    for (htlc, nowhere) in [(1, Some(Scid(0))), (2, Some(scid(4242))), (3, None), (4, Some(Scid(u64::MAX)))] {
        record(&ledger, &[Forward { out_channel: nowhere, ..starved(htlc) }]).await;
    }
    assert_eq!(ledger.unknown_scids(10).await.unwrap(), []);
    assert_eq!(ledger.totals().await.unwrap().values().map(|t| t.local_failed).sum::<u64>(), 0);
    // Until one of them turns out to be a channel.
    ledger.note_channels(NOON, &[Channel { scid: Some(scid(4242)), ..channel(5) }]).await.unwrap();
    assert_eq!(ledger.totals().await.unwrap()[&cid(5)].starved, 1);
    assert_eq!(problems(&ledger).await, [""; 0]);
}

#[tokio::test]
async fn a_settled_forward_that_names_no_channel_is_still_money() {
    let ledger = noted().await;
    record(&ledger, &[Forward { out_channel: None, ..settled(1) }]).await;
    assert_eq!(ledger.balance_of("income/routing").await.unwrap(), -100);
    assert_eq!(ledger.unknown_scids(10).await.unwrap(), [], "there is nothing to ask for");
    assert_eq!(problems(&ledger).await, [""; 0]);
}

#[tokio::test]
async fn dropped_forwards_stay_counted_once() {
    let ledger = noted().await;
    let old: Vec<Forward> = (0..10).map(settled).collect();
    let read = Some((ForwardIndex::Created, 8));
    ledger.record_forwards(&old[..8], read).await.unwrap();
    record(&ledger, &old[8..]).await;
    record(&ledger, &[Forward { status: ForwardStatus::Offered, ..offered(20) }]).await;
    let later = NOON.plus_secs(HOUR);
    assert_eq!(ledger.drop_forwards(NOON, 100).await.unwrap(), 0, "none is older");
    assert_eq!(ledger.drop_forwards(later, 3).await.unwrap(), 3);
    assert_eq!(ledger.drop_forwards(later, 100).await.unwrap(), 5, "the list has not passed the last two");
    assert_eq!(ledger.drop_forwards(later, 100).await.unwrap(), 0);
    assert_eq!(ledger.record_forwards(&old, Some((ForwardIndex::Updated, 10))).await.unwrap(), Recorded::default());
    let repeated = Forward { created_index: None, ..settled(2) };
    assert_eq!(record(&ledger, &[repeated]).await, (0, 0));
    assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, 10);
    let check = ledger.check(later).await.unwrap();
    assert_eq!((check.forwards, check.settled, check.fees_msat, check.problems), (11, 10, 1000, vec![]));
    // History that the list brings for the first time is no repetition, however old.
    let older = Forward { received: Time(0), resolved: Some(Time(5)), created_index: Some(9), ..settled(99) };
    assert_eq!(record(&ledger, &[older]).await, (1, 0));
}

#[tokio::test]
async fn days_are_counted_back_from_now() {
    let ledger = noted().await;
    let at = |hours: i64| Time(NOON.0 - hours * HOUR * 1000);
    for (htlc, hours) in (0..).zip([0, 23, 24, 47, 48, 167, 168]) {
        record(&ledger, &[Forward { received: at(hours), resolved: Some(at(hours)), ..settled(htlc) }]).await;
    }
    record(&ledger, &[starved(50)]).await;
    let sums = ledger.day_sums(NOON, 7).await.unwrap();
    let days: Vec<_> = sums[&cid(1)].days.iter().map(|d| (d.age_days, d.out_count, d.out_msat, d.in_count)).collect();
    assert_eq!(days, [(0, 2, 2_000_000, 0), (1, 2, 2_000_000, 0), (2, 1, 1_000_000, 0), (6, 1, 1_000_000, 0)]);
    assert_eq!(sums[&cid(0)].days[0].in_msat, 2_000_200);
    assert_eq!(sums[&cid(1)].last_forward, Some(NOON));
    assert_eq!(sums.get(&cid(2)), None);
    // Long after, the window is empty and the last forward is not forgotten.
    let sums = ledger.day_sums(NOON.plus_secs(90 * 24 * HOUR), 7).await.unwrap();
    assert_eq!(sums[&cid(1)], ChannelDays { days: vec![], last_forward: Some(NOON) });
    assert_eq!(ledger.node_hours(at(24)).await.unwrap().iter().map(|(_, n)| n).sum::<u64>(), 3);
}

#[tokio::test]
async fn demand_counts_tries_of_one_payment_once() {
    // Seconds, incoming channel, msat; and what all up to here come to.
    let tries = [
        (0, 0, 1_000_000, 1),
        (20, 0, 1_000_000, 1),
        (30, 0, 1_009_000, 1),
        (40, 0, 1_050_000, 2),
        (50, 2, 1_000_000, 3),
        (61, 0, 1_000_000, 4),
    ];
    let ledger = noted().await;
    for (n, (secs, incoming, msat, expected)) in (0..).zip(tries) {
        let key = ForwardKey { in_channel: scid(incoming), in_htlc_id: n };
        let received = NOON.plus_secs(secs);
        record(&ledger, &[Forward { key, received, in_msat: Msat(msat), ..starved(n) }]).await;
        let demand = ledger.demand(NOON.plus_secs(-10), NOON.plus_secs(300)).await.unwrap();
        assert_eq!(demand.iter().map(|d| d.starved).sum::<u64>(), expected, "after {secs} s");
    }
    let after = ledger.demand(NOON.plus_secs(10), NOON.plus_secs(45)).await.unwrap();
    assert_eq!(
        after.iter().map(|d| d.starved).sum::<u64>(),
        1,
        "what was counted before the span does not count again"
    );
}

#[tokio::test]
async fn demand_lies_within_the_span() {
    let ledger = noted().await;
    record(&ledger, &[settled(1), settled(2), offered(3), Forward { status: ForwardStatus::Failed, ..settled(4) }])
        .await;
    let resolved = NOON.plus_secs(1);
    for (from, to, count) in [(NOON, resolved, 2), (resolved, resolved.plus_secs(9), 0), (Time(0), NOON, 0)] {
        let demand = ledger.demand(from, to).await.unwrap();
        assert_eq!(demand.iter().map(|d| d.settled).sum::<u64>(), count);
    }
    let demand = ledger.demand(NOON, resolved).await.unwrap();
    let expected = Demand {
        out: cid(1),
        from_peer: Some(peer(0)),
        settled: 2,
        starved: 0,
        out_msat: 2_000_000,
        in_msat: 2_000_200,
    };
    assert_eq!(demand, [expected]);
    record(&ledger, &[Forward { out_msat: Some(Msat(5)), resolved: Some(NOON.plus_secs(60)), ..settled(8) }]).await;
    assert_eq!(ledger.recent_amounts(2).await.unwrap(), [Msat(5), Msat(1_000_000)]);
}

#[tokio::test]
async fn reputation_fades_and_blames_nobody_for_our_lack_of_balance() {
    let ledger = noted().await;
    let failed = Forward { status: ForwardStatus::Failed, ..settled(3) };
    record(&ledger, &[settled(1), settled(2), failed, starved(4)]).await;
    ledger.update_reputation(NOON, 0.5).await.unwrap();
    let expect = |successes, failures| HashMap::from([(peer(0), Reputation { successes, failures })]);
    assert_eq!(ledger.reputations().await.unwrap(), expect(2.0, 1.0));
    record(&ledger, &[settled(5)]).await;
    ledger.update_reputation(NOON, 0.5).await.unwrap();
    assert_eq!(ledger.reputations().await.unwrap(), expect(2.0, 0.5));
    ledger.update_reputation(NOON, 0.0001).await.unwrap();
    assert_eq!(ledger.reputations().await.unwrap(), HashMap::new());
}

fn fee(n: u32, outcome: FeeOutcomeKind, at: Time) -> FeeRow {
    FeeRow {
        channel: cid(n),
        peer: peer(n),
        at,
        old: Ppm(100),
        new: Ppm(u32::MAX),
        outcome,
        manual: false,
        urgent: n == 2,
        summary: "scarce".to_owned(),
        why: "[]".to_owned(),
    }
}

#[tokio::test]
async fn changes_stay_for_ever_and_decisions_until_the_next() {
    let ledger = ledger().await;
    let at = |n| NOON.plus_secs(n);
    let rounds = [
        (0, [FeeOutcomeKind::Set, FeeOutcomeKind::Dry]),
        (10, [FeeOutcomeKind::Kept, FeeOutcomeKind::Failed]),
        (20, [FeeOutcomeKind::Set, FeeOutcomeKind::Set]),
        (30, [FeeOutcomeKind::Kept, FeeOutcomeKind::Kept]),
    ];
    for (secs, [one, two]) in rounds {
        let learned = (secs == 10).then(|| "[10]".to_owned());
        let memories = [MemoryRow { peer: peer(1), memory: format!("{{\"round\":{secs}}}"), learned }];
        ledger.record_fees(at(secs), &memories, &[fee(1, one, at(secs)), fee(2, two, at(secs))]).await.unwrap();
    }
    let changes = ledger.changes_since(at(0), at(100)).await.unwrap();
    assert_eq!(changes[&cid(1)], ChangeCount { ordinary: 2, urgent: 0 });
    assert_eq!(changes[&cid(2)], ChangeCount { ordinary: 0, urgent: 2 });
    assert_eq!(ledger.changes_since(at(1), at(100)).await.unwrap()[&cid(1)].ordinary, 1);
    assert_eq!(ledger.last_decisions().await.unwrap()[&cid(2)], fee(2, FeeOutcomeKind::Kept, at(30)));
    let recent = ledger.recent_changes(3).await.unwrap();
    let expected = [
        fee(2, FeeOutcomeKind::Set, at(20)),
        fee(1, FeeOutcomeKind::Set, at(20)),
        fee(2, FeeOutcomeKind::Failed, at(10)),
    ];
    assert_eq!(recent.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>(), expected);
    assert!(recent[0].0 > recent[1].0);
    let kept = MemoryRow { peer: peer(1), memory: "{\"round\":30}".to_owned(), learned: Some("[10]".to_owned()) };
    assert_eq!(ledger.memories().await.unwrap(), [kept]);
}

#[tokio::test]
async fn flows_come_back_as_they_went() {
    let ledger = noted().await;
    let flow = Flow {
        class: FlowClass::Source,
        out_per_day: 1.0 / 3.0,
        in_per_day: 0.1,
        net: -0.25,
        turnover: 1e-9,
        velocity: 0.0,
        confidence: 0.9,
        out_msat: Msat(7),
        in_msat: Msat(9),
        forwards: 3,
        last_forward: None,
    };
    ledger.record_flows(NOON, &[(cid(0), flow.clone())]).await.unwrap();
    assert_eq!(ledger.flows().await.unwrap(), HashMap::from([(cid(0), (NOON, flow))]));
}

#[tokio::test]
async fn every_change_of_an_option_is_a_new_version() {
    let ledger = ledger().await;
    assert_eq!(ledger.config_version().await.unwrap(), 0);
    assert_eq!(ledger.set_override(NOON, "min-fee", "5").await.unwrap(), 1);
    assert_eq!(ledger.set_override(NOON, "max-fee", "9").await.unwrap(), 2);
    assert_eq!(ledger.set_override(NOON, "min-fee", "6").await.unwrap(), 3);
    assert_eq!(ledger.clear_override(NOON, "nothing").await.unwrap(), None);
    assert_eq!(ledger.clear_override(NOON, "max-fee").await.unwrap(), Some(4));
    let row = OverrideRow { key: "min-fee".into(), value: "6".into(), version: 3, updated_at: NOON };
    assert_eq!(ledger.overrides().await.unwrap(), [row]);
    assert_eq!(ledger.config_version().await.unwrap(), 4);
}

#[tokio::test]
async fn notes_and_feerates() {
    let ledger = ledger().await;
    assert_eq!(ledger.note("vegas").await.unwrap(), None);
    ledger.save_note(NOON, "vegas", "{}").await.unwrap();
    ledger.save_note(NOON, "vegas", "{\"n\":1}").await.unwrap();
    assert_eq!(ledger.note("vegas").await.unwrap().as_deref(), Some("{\"n\":1}"));
    assert_eq!(ledger.feerate_average(Time(0)).await.unwrap(), None);
    for (hours, rate) in [(0, 1000), (30, 2000), (50, 4000)] {
        ledger.record_feerate(NOON.plus_secs(hours * HOUR), rate).await.unwrap();
    }
    assert_eq!(ledger.feerate_average(Time(0)).await.unwrap(), Some(3000.0), "the oldest is gone");
    assert_eq!(ledger.feerate_average(NOON.plus_secs(40 * HOUR)).await.unwrap(), Some(4000.0));
}

#[tokio::test]
async fn a_transfer_is_made_once() {
    let ledger = ledger().await;
    let transfer = |key: &str, from: &str, to: &str, msat| Transfer {
        key: key.into(),
        at: NOON,
        from: from.into(),
        to: to.into(),
        amount: Msat(msat),
        memo: String::new(),
    };
    let rent = transfer("a", "wallet", "rent", 50);
    assert!(ledger.record_transfer(&rent).await.unwrap());
    assert!(!ledger.record_transfer(&Transfer { amount: Msat(70), ..rent }).await.unwrap());
    assert_eq!(ledger.balance_of("wallet").await.unwrap(), -50);
    assert_eq!(ledger.balance_of("rent").await.unwrap(), 50);
    assert_eq!(ledger.balance_of("nobody").await.unwrap(), 0);
    assert!(ledger.record_transfer(&transfer("b", "wallet", "wallet", 1)).await.is_err());
    assert!(ledger.record_transfer(&transfer("routed/x/2024-01-01", "wallet", "rent", 1)).await.is_err());
    assert_eq!(problems(&ledger).await, [""; 0]);
}

#[tokio::test]
async fn the_check_notices_every_kind_of_damage() {
    for (sql, told) in [
        ("UPDATE transfers SET amount_msat = amount_msat + 1", "daily postings"),
        ("DELETE FROM transfers", "daily postings"),
        ("UPDATE transfers SET to_account = 999", "All accounts together"),
        ("DELETE FROM forwards WHERE in_htlc = 1", "single forwards say"),
        ("UPDATE forwards SET fee_msat = 0 WHERE in_htlc = 1", "single forwards say"),
        ("UPDATE forwards SET status = 3 WHERE in_htlc = 1", "single forwards say"),
        ("UPDATE totals SET earned_msat = earned_msat + 1", "outgoing channels earned"),
        ("UPDATE totals SET brought_msat = 0", "incoming channels brought"),
        ("UPDATE totals SET out_count = 7", "outgoing channels count"),
        ("UPDATE rollups SET earned_msat = 7 WHERE out_count > 0", "the channels' hours say"),
        ("DELETE FROM rollups", "the channels' hours say"),
        ("UPDATE node_hours SET fees_msat = 7", "the node's hours"),
        ("UPDATE node_hours SET failed = 7", "the node's hour says"),
        ("UPDATE progress SET seen = 1", "were taken in"),
    ] {
        let ledger = noted().await;
        record(&ledger, &[settled(1), settled(2), starved(3)]).await;
        assert_eq!(problems(&ledger).await, [""; 0]);
        tamper(&ledger, sql).await;
        let problems = problems(&ledger).await;
        assert!(problems.iter().any(|p| p.contains(told)), "{sql}: {problems:?}");
    }
}

#[tokio::test]
async fn the_check_comes_round_to_all_of_the_past() {
    let ledger = noted().await;
    let day = |n: i64| NOON.plus_secs(-n * 24 * HOUR);
    let days =
        (0..60).map(|n| Forward { received: day(n), resolved: Some(day(n)), ..settled(u64::try_from(n).unwrap()) });
    record(&ledger, &days.collect::<Vec<_>>()).await;
    tamper(&ledger, "UPDATE forwards SET fee_msat = 0 WHERE in_htlc = 30").await;
    let mut noticed = 0;
    for hour in 0..24 {
        noticed += usize::from(!ledger.check(NOON.plus_secs(hour * HOUR)).await.unwrap().problems.is_empty());
    }
    assert!((1..6).contains(&noticed), "{noticed} of 24 checks");
}

/// Everything in the folder: names and bytes.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

async fn make(path: &Path, sql: &'static str) {
    use sqlx::ConnectOptions as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn what_is_not_ours_is_left_as_it_is() {
    let other = Identity { node: peer(9), ..owner() };
    let other_network = Identity { network: "bitcoin".into(), ..owner() };
    let cases: [(&str, Option<&'static str>, &Identity, &str); 7] = [
        ("text", None, &owner(), "not a SQLite file"),
        (
            "the earlier plugin's",
            Some("CREATE TABLE channel_states (a); CREATE TABLE peer_policies (a);"),
            &owner(),
            "another program",
        ),
        (
            "the same, with a log",
            Some("PRAGMA journal_mode = WAL; CREATE TABLE channel_states (a);"),
            &owner(),
            "another program",
        ),
        ("another application's", Some("PRAGMA application_id = 77; CREATE TABLE a (b);"), &owner(), "another program"),
        ("another node's", Some(""), &other, "belongs to node"),
        ("another network's", Some(""), &other_network, "on bitcoin"),
        ("a newer one", Some("UPDATE _sqlx_migrations SET version = 999;"), &owner(), "newer version"),
    ];
    for (case, sql, who, told) in cases {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("ledger.db");
        if told.contains("node") || told.contains("on bitcoin") || told.contains("newer") {
            Ledger::open(&path, &owner(), NOON).await.unwrap().close().await;
        }
        match sql {
            Some(sql) => make(&path, sql).await,
            None => std::fs::write(&path, "these are my notes, not a database".repeat(9)).unwrap(),
        }
        let before = contents(folder.path());
        let error = Ledger::open(&path, who, NOON).await.unwrap_err().to_string();
        assert!(error.contains(told) && error.contains("ledger.db"), "{case}: {error}");
        assert!(contents(folder.path()) == before, "{case}: something changed");
    }
}

#[tokio::test]
async fn a_foreign_log_that_waits_is_not_touched() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    use sqlx::ConnectOptions as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql("PRAGMA journal_mode = WAL; CREATE TABLE a (b);").execute(&mut conn).await.unwrap();
    let before = contents(folder.path());
    assert!(matches!(Ledger::open(&path, &owner(), NOON).await, Err(OpenError::NotOurs { .. })));
    assert!(contents(folder.path()) == before);
}

#[tokio::test]
async fn a_new_file_is_private_and_outlives_us() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deep/er/ledger.db");
    for round in 0..3 {
        let ledger = Ledger::open(&path, &owner(), NOON).await.unwrap();
        ledger.note_channels(NOON, &[channel(0), channel(1)]).await.unwrap();
        assert_eq!(record(&ledger, &[settled(round), settled(round + 1)]).await.0, if round == 0 { 2 } else { 1 });
        assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, round + 2);
        if round == 1 {
            // As after a crash: neither checkpoint nor goodbye.
            drop(ledger);
        } else {
            ledger.close().await;
            assert!(ledger.totals().await.is_err(), "closed is closed");
            assert_eq!(contents(path.parent().unwrap()).len(), 1, "no log is left beside the file");
        }
    }
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    std::fs::write(folder.path().join("empty"), "").unwrap();
    Ledger::open(&folder.path().join("empty"), &owner(), NOON).await.unwrap().close().await;
}

#[test]
fn every_migration_is_compiled_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger/migrations");
    let mut files: Vec<String> = contents(&folder).into_iter().map(|(name, _)| name).collect();
    files.sort();
    let known: Vec<String> = open::MIGRATIONS.iter().map(|(n, name, _)| format!("{n:04}_{name}.sql")).collect();
    assert_eq!(files, known);
}

/// What befell one forward: the events that told of it, as the node may send them.
fn life(htlc: u64, from: u32, to: u32, outcome: u8, secs: i64) -> Vec<Forward> {
    let created = Some(htlc + 1);
    let received = NOON.plus_secs(secs);
    let base = Forward {
        key: ForwardKey { in_channel: scid(from), in_htlc_id: htlc },
        out_channel: Some(scid(to)),
        received,
        resolved: Some(received.plus_secs(secs % 100)),
        created_index: created,
        ..settled(htlc)
    };
    let offer = Forward { status: ForwardStatus::Offered, resolved: None, updated_index: None, ..base.clone() };
    match outcome {
        0 => vec![offer],
        1 => vec![offer, Forward { created_index: None, ..base.clone() }, base],
        2 => {
            let failed = Forward { status: ForwardStatus::Failed, ..base };
            vec![offer, Forward { created_index: None, out_channel: None, ..failed.clone() }, failed]
        }
        3 => vec![Forward { status: ForwardStatus::LocalFailed, failcode: Some(16_394), ..starved(htlc) }]
            .into_iter()
            .map(|f| Forward { key: base.key, out_channel: Some(scid(to + 3)), received, created_index: created, ..f })
            .collect(),
        _ => vec![Forward {
            key: base.key,
            out_channel: base.out_channel,
            received,
            created_index: created,
            ..starved(htlc)
        }],
    }
}

fn lives() -> impl Strategy<Value = Vec<Vec<Forward>>> {
    let one = (0u32..4, 0u32..4, 0u8..5, 0i64..200_000);
    proptest::collection::vec(one, 1..25).prop_map(|all| {
        (0..).zip(all).map(|(htlc, (from, to, outcome, secs))| life(htlc, from, to, outcome, secs)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The same events in any order, any number of times, in any batches, with the channels listed at any moment or never:
    /// the same ledger.
    #[test]
    fn order_and_repetition_do_not_matter(
        lives in lives(),
        seed in any::<u64>(),
        size in 1usize..40,
        note_at in 0usize..6,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let plain: Vec<Forward> = lives.concat();
            let channels = [channel(0), channel(1)];
            let one = ledger().await;
            one.note_channels(NOON, &channels).await.unwrap();
            record(&one, &plain).await;

            let mut shuffled = [plain.clone(), plain].concat();
            let mut random = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(seed);
            rand::seq::SliceRandom::shuffle(shuffled.as_mut_slice(), &mut random);
            let two = ledger().await;
            for (n, batch) in shuffled.chunks(size).enumerate() {
                if n == note_at {
                    two.note_channels(NOON, &channels).await.unwrap();
                }
                record(&two, batch).await;
            }
            two.note_channels(NOON, &channels).await.unwrap();
            assert_eq!(dump(&one).await, dump(&two).await);

            let week = NOON.plus_secs(7 * 24 * HOUR);
            let check = two.check(week).await.unwrap();
            assert_eq!((check.sum_of_accounts_msat, check.problems), (0, vec![]));
            let fees: u64 = two.totals().await.unwrap().values().map(|t| t.fees_earned_msat).sum();
            let settled = lives.iter().filter(|life| life[0].status != ForwardStatus::LocalFailed && life.len() > 1
                && life[1].status == ForwardStatus::Settled).count();
            assert_eq!(fees, 100 * u64::try_from(settled).unwrap());
            assert_eq!(two.balance_of("income/routing").await.unwrap(), -i64::try_from(fees).unwrap());
        });
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_half_done() {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::open(&folder.path().join("ledger.db"), &owner(), NOON).await.unwrap();
    let forwards: Vec<Forward> = synthetic::Forwards::new(1, 20, NOON, 2_000).take(4_000).collect();
    for (n, page) in (0..).zip(forwards.chunks(100)) {
        let patience = std::time::Duration::from_micros(n * 150);
        let _ = tokio::time::timeout(patience, ledger.record_forwards(page, None)).await;
    }
    assert_eq!(ledger.check(forwards[3_999].received).await.unwrap().problems, [""; 0]);
    record(&ledger, &forwards).await;
    let check = ledger.check(forwards[3_999].received).await.unwrap();
    assert_eq!((check.forwards, check.problems), (4_000, vec![]));
    ledger.close().await;
}

#[tokio::test]
async fn synthetic_forwards_add_up() {
    let ledger = ledger().await;
    let channels: Vec<Channel> = (0..50).map(channel).collect();
    ledger.note_channels(NOON, &channels).await.unwrap();
    let forwards: Vec<Forward> = synthetic::Forwards::new(1, 50, NOON, 2_000).take(5_000).collect();
    let mut read = 0;
    for page in forwards.chunks(1_000) {
        read += 1_000;
        ledger.record_forwards(page, Some((ForwardIndex::Created, read))).await.unwrap();
    }
    let check = ledger.check(forwards[4_999].received).await.unwrap();
    let settled = forwards.iter().filter(|f| f.status == ForwardStatus::Settled);
    assert_eq!(check.settled, u64::try_from(settled.clone().count()).unwrap());
    assert_eq!(check.fees_msat, settled.filter_map(|f| f.fee).map(|fee| fee.0).sum::<u64>());
    assert_eq!((check.forwards, check.problems), (5_000, vec![]));
}
