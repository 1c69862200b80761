//! What was decided, analysed and set comes back as it went.

use std::collections::HashMap;

use crate::domain::{Flow, FlowClass};

use super::*;

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
    let changes = ledger.changes_since(at(0), at(100), true).await.unwrap();
    assert_eq!(changes[&cid(1)], ChangeCount { ordinary: 2, urgent: 0 });
    assert_eq!(changes[&cid(2)], ChangeCount { ordinary: 0, urgent: 2 });
    assert_eq!(ledger.changes_since(at(1), at(100), true).await.unwrap()[&cid(1)].ordinary, 1);
    let told = ledger.changes_since(at(0), at(100), false).await.unwrap();
    assert_eq!(told[&cid(2)], ChangeCount { ordinary: 0, urgent: 1 }, "what was dry the network never heard of");
    assert_eq!(ledger.last_decisions().await.unwrap()[&cid(2)], fee(2, FeeOutcomeKind::Kept, at(30)));
    assert_eq!(ledger.last_decision(cid(2)).await.unwrap(), Some(fee(2, FeeOutcomeKind::Kept, at(30))));
    assert_eq!(ledger.last_decision(cid(77)).await.unwrap(), None);
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
