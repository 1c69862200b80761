//! A node that is silent in part, told as stories: what goes on, what waits, and what nobody may take for zero.

use std::collections::HashMap;

use cl_revenue_ops::domain::{PeerId, Time};
use cl_revenue_ops::ledger::MemoryRow;
use serde_json::{Value, json};

use crate::HALF_HOUR;
use crate::stage::Stage;

#[tokio::test]
async fn a_listing_that_fails_changes_nothing() {
    let stage = Stage::new(3, 8, &[]).await;
    stage.hours(6.0).await;
    let (memories, fees) = (stage.ledger.memories().await.unwrap(), stage.fees());
    stage.tricks().silent = true;
    stage.wait(HALF_HOUR);
    assert!(stage.ops.fee_cycle().await.is_err());
    assert!(stage.ops.flow_cycle().await.is_err());
    assert_eq!((stage.ledger.memories().await.unwrap(), stage.fees()), (memories.clone(), fees));
    stage.tricks().silent = false;
    stage.cycle().await;
    assert_eq!(stage.ledger.memories().await.unwrap().len(), memories.len());
}

/// Each learner's position, by what it has learned and tried.
async fn climbs(stage: &Stage) -> HashMap<PeerId, (Value, Option<String>)> {
    let climb = |row: MemoryRow| {
        let memory: Value = serde_json::from_str(&row.memory).unwrap();
        let block = &memory["climb"]["block"];
        (row.peer, (json!([block["start"], block["until"], block["events"]]), row.learned))
    };
    stage.ledger.memories().await.unwrap().into_iter().map(climb).collect()
}

#[tokio::test]
async fn without_the_list_of_forwards_fees_go_on_and_nothing_is_learned() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("ledger.db");
    let mut stage = Stage::on_file(3, 8, &[], &file).await;
    stage.hours(60.0).await;
    let known = stage.clock_now();
    stage.tricks().no_forwards = true;
    // A block that ends within the hour may still turn.
    for _ in 0..2 {
        stage.wait(HALF_HOUR);
        stage.cycle().await;
    }
    let before = climbs(&stage).await;
    // Also in another life, and for longer than any block lasts.
    stage.restart(&[], &file).await;
    for _ in 0..60 {
        stage.wait(HALF_HOUR);
        stage.cycle().await;
    }
    assert_eq!(climbs(&stage).await, before, "no block ends while nobody knows who came");
    let channel = stage.single().await;
    stage.tricks().jammed = Some(channel.channel_id);
    let calm = stage.fees()[&channel.channel_id];
    stage.ops.set_option("max_fee_ppm", &(calm.0 * 3).to_string()).await.unwrap();
    for _ in 0..4 {
        stage.wait(HALF_HOUR);
        stage.cycle().await;
    }
    assert!(stage.fees()[&channel.channel_id] > calm, "congestion acts");
    assert!(stage.fees().values().all(|fee| fee.0 <= calm.0 * 3), "and so do the operator's limits");
    assert!(stage.ops.wake_all().await.is_ok());
    let flow = stage.ops.flow_cycle().await.unwrap_err().to_string();
    assert!(flow.contains(&known.to_string()), "{flow}");
    let warnings = stage.ops.status().await.unwrap().warnings;
    let told = |warning: &&String| warning.contains(&format!("known up to {known}")) && warning.contains("60 s passed");
    assert_eq!(warnings.iter().filter(told).count(), 1, "{warnings:?}");
    // What was missed is made up for, with what came meanwhile counted in the hours in which it came.
    (stage.tricks().no_forwards, stage.tricks().jammed) = (false, None);
    stage.wait(HALF_HOUR);
    stage.cycle().await;
    for row in stage.ledger.memories().await.unwrap() {
        let memory: Value = serde_json::from_str(&row.memory).unwrap();
        assert!(stage.clock_now().hours_since(Time(memory["seen_until"].as_i64().unwrap())) < 0.1, "{memory}");
    }
    assert!(stage.ops.flow_cycle().await.is_ok());
    assert_eq!(stage.ops.status().await.unwrap().warnings, Vec::<String>::new());
}

#[tokio::test]
async fn flow_that_is_known_up_to_the_last_hour_is_analysed() {
    let stage = Stage::new(3, 8, &[]).await;
    stage.hours(6.0).await;
    stage.tricks().no_forwards = true;
    stage.wait(1.0);
    assert!(stage.ops.flow_cycle().await.is_ok());
    stage.wait(2.0);
    assert!(stage.ops.flow_cycle().await.is_err());
}

#[tokio::test]
async fn before_any_history_is_read_no_fee_is_changed() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("ledger.db");
    let mut stage = Stage::on_file(3, 8, &[], &file).await;
    stage.wait(12.0);
    stage.tricks().no_forwards = true;
    let fees = stage.fees();
    for _ in 0..2 {
        for error in [stage.ops.fee_cycle().await.map(drop), stage.ops.wake_all().await.map(drop)] {
            let text = format!("{:#}", error.unwrap_err());
            assert!(text.contains("before the node's forwards have been read for the first time"), "{text}");
        }
        assert!(stage.ops.flow_cycle().await.is_err());
        assert_eq!((stage.fees(), stage.ledger.memories().await.unwrap()), (fees.clone(), vec![]));
        let warnings = stage.ops.status().await.unwrap().warnings;
        assert!(warnings[0].contains("they have never been read"), "{warnings:?}");
        stage.restart(&[], &file).await;
    }
    stage.tricks().no_forwards = false;
    stage.cycle().await;
    assert_ne!(stage.fees(), fees);
}
