//! The plan of the whole node, told as stories: when it is made, how long it holds, and what becomes of the saved one.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use cl_revenue_ops::domain::{PeerId, Time};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::HALF_HOUR;
use crate::stage::Stage;

const NOTE: &str = "plan";

async fn saved(stage: &Stage) -> Value {
    serde_json::from_str(&stage.ledger.note(NOTE).await.unwrap().unwrap()).unwrap()
}

fn made_at(plan: &Value) -> Time {
    Time(plan["at"].as_i64().unwrap())
}

fn knows(plan: &Value, peer: PeerId) -> bool {
    plan["bids"].as_array().unwrap().iter().any(|bid| bid["peer"] == peer.to_string())
}

async fn next(stage: &Stage) {
    stage.wait(HALF_HOUR);
    stage.cycle().await;
}

#[tokio::test]
async fn a_plan_holds_for_half_a_day() {
    let stage = Stage::new(3, 8, &[]).await;
    assert_eq!(stage.ledger.note(NOTE).await.unwrap(), None);
    stage.cycle().await;
    for _ in 0..2 {
        let (plan, start) = (saved(&stage).await, stage.clock_now());
        assert_eq!(made_at(&plan), start);
        assert!(!plan["bids"].as_array().unwrap().is_empty());
        for _ in 0..23 {
            next(&stage).await;
            assert_eq!(saved(&stage).await, plan, "after {} h", stage.clock_now().hours_since(start));
        }
        next(&stage).await;
    }
}

#[tokio::test]
async fn a_plan_is_made_anew_when_a_peer_comes_or_goes() {
    let stage = Stage::new(3, 8, &[]).await;
    let channel = stage.single().await;
    for hidden in [true, false, true] {
        stage.tricks().hidden = hidden.then_some(channel.channel_id);
        next(&stage).await;
        let plan = saved(&stage).await;
        assert_eq!((made_at(&plan), knows(&plan, channel.peer)), (stage.clock_now(), !hidden));
        next(&stage).await;
        assert_eq!(saved(&stage).await, plan, "the same peers, the same plan");
    }
}

#[tokio::test]
async fn a_restart_goes_on_with_the_saved_plan() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("ledger.db");
    let mut stage = Stage::on_file(3, 8, &[], &file).await;
    stage.cycle().await;
    let mut plan = saved(&stage).await;
    stage.restart(&[], &file).await;
    next(&stage).await;
    assert_eq!(saved(&stage).await, plan);
    // One that nobody would make tells that it is really the saved one that is read.
    for bid in plan["bids"].as_array_mut().unwrap() {
        (bid["fee"], bid["holds"]) = (json!(1234.0), json!(true));
    }
    stage.ledger.save_note(stage.clock_now(), NOTE, &plan.to_string()).await.unwrap();
    stage.restart(&[], &file).await;
    next(&stage).await;
    assert_eq!(saved(&stage).await, plan);
    let decisions = stage.ledger.last_decisions().await.unwrap();
    assert!(decisions.len() > 4);
    for row in decisions.values() {
        let why: Value = serde_json::from_str(&row.why).unwrap();
        let bid = why.as_array().unwrap().iter().find(|stage| stage["stage"] == "bid");
        assert_eq!(bid.unwrap()["bid"], 1234.0, "{why}");
    }
}

#[tokio::test]
async fn a_saved_plan_that_cannot_be_read_is_made_anew_with_a_warning() {
    let warnings = Warnings::default();
    let _heard = tracing::subscriber::set_default(warnings.clone());
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("ledger.db");
    let mut stage = Stage::on_file(3, 8, &[], &file).await;
    stage.cycle().await;
    assert_eq!(warnings.of_plans(), 0);
    for (text, told) in [("", 1), ("no plan", 2), ("[]", 3), (r#"{"at":"noon","bids":[]}"#, 4)] {
        stage.ledger.save_note(stage.clock_now(), NOTE, text).await.unwrap();
        stage.restart(&[], &file).await;
        next(&stage).await;
        let plan = saved(&stage).await;
        assert_eq!((made_at(&plan), warnings.of_plans()), (stage.clock_now(), told), "'{text}'");
        next(&stage).await;
        assert_eq!((saved(&stage).await, warnings.of_plans()), (plan, told), "'{text}', told once");
    }
}

/// Hears what is warned of in this thread, in which a story's steps run.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn of_plans(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains("the saved plan cannot be read")).count()
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
