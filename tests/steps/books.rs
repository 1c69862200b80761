//! What happens to channels, as the recorded node told it, several times over; and a node that keeps no books.

use std::path::Path;

use cl_revenue_ops::accounts::CostKind;
use cl_revenue_ops::domain::{CloseType, Msat, Side};
use cl_revenue_ops::node::{NodeEvent, cln_wire};

use crate::stage::Stage;

fn notes() -> Vec<NodeEvent> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cln/notes");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let of_channels = |path: &std::path::PathBuf| {
        let note: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let topic = note["method"].as_str().unwrap().to_owned();
        (topic == "channel_state_changed").then(|| cln_wire::channel_event(&topic, &note["params"]).unwrap())
    };
    paths.iter().filter_map(of_channels).collect()
}

#[tokio::test]
async fn every_recorded_change_of_state_may_come_again_and_in_any_order() {
    let notes = notes();
    assert!(notes.len() > 15);
    let (once, often) = (Stage::new(3, 2, &[]).await, Stage::new(3, 2, &[]).await);
    for note in &notes {
        assert!(once.ops.channel_noticed(note).await.unwrap());
    }
    for note in notes.iter().rev().chain(&notes).chain(notes.iter().rev()) {
        often.ops.channel_noticed(note).await.unwrap();
    }
    let (one, two) = (once.ledger.lives().await.unwrap(), often.ledger.lives().await.unwrap());
    assert_eq!(one, two);
    let life = |start: &str| one.values().find(|life| life.channel.to_string().starts_with(start)).unwrap();
    let mutual = life("3417a5");
    assert_eq!((mutual.close_type, mutual.closer), (Some(CloseType::Mutual), Some(Side::Local)));
    assert!(mutual.archived_at.is_some() && mutual.closing_at < mutual.archived_at);
    // How it ends the node's records tell; its states say that it was not agreed upon.
    assert_eq!(life("964cdb").close_type, Some(CloseType::Unilateral));
    let spliced = life("6e0a25");
    assert_eq!((spliced.closing_at, spliced.close_type), (None, None));
    assert_eq!(spliced.scid.unwrap().to_string(), "125x1x1");
}

#[tokio::test]
async fn without_a_bookkeeper_costs_are_estimated_and_say_so() {
    let stage = Stage::new(5, 4, &[]).await;
    stage.hours(2.0).await;
    stage.ops.book_cycle().await.unwrap();
    stage.ops.book_cycle().await.unwrap();
    let report = stage.ops.books(30).await.unwrap();
    let opened = report.channels.iter().filter(|books| books.statement.life.opener == Some(Side::Local));
    let expected = opened.clone().count() as u64 * 5_000_000;
    assert!(expected > 0 && opened.clone().all(|books| books.statement.life.estimated));
    assert_eq!(report.lifetime.costs.of(CostKind::Opening), expected);
    assert_eq!(
        report.lifetime.net(),
        i64::try_from(report.lifetime.earned).unwrap() - i64::try_from(expected).unwrap()
    );
    let told: Vec<_> = report.warnings().into_iter().map(|(field, _)| field).collect();
    assert!(told.contains(&"warning_bookkeeper") && told.contains(&"warning_net_worth"), "{told:?}");
    // Our side of the channels is known, the wallet is not: a part is not the whole.
    let (_, worth) = report.worth.unwrap();
    assert!(worth.local > 0 && worth.onchain.is_none() && worth.total().is_none());
    assert!(worth.local <= worth.capacity && Msat(worth.capacity) > Msat::ZERO);
    let days = stage.ops.day_reports(stage.ops.now().hour() / 24 - 1, stage.ops.now().hour() / 24).await.unwrap();
    assert!(days[0].noted.is_none() && days[1].noted.is_some(), "a day on which nobody looked is a gap");
}
