//! Searches for routes, and the books of what was moved over them.

use cl_revenue_ops::domain::{Msat, PeerId};
use cl_revenue_ops::node::Node as _;
use cl_revenue_ops::node::cln::CoreLightning;
use serde_json::{Value, json};

use super::{Sim, alike, recorded, rows};

#[test]
fn ways_are_found_as_recorded() {
    let sim = Sim::start(&[]);
    sim.call("sim-neighbours", json!({"sling": true}));
    let (from, to) = (&sim.channel(0)["peer_id"], &sim.channel(1)["peer_id"]);
    let search = |most: u64, layers: &[&str]| {
        let ask = json!({"source": from, "destination": to, "amount_msat": 1_000_000, "layers": layers,
            "maxfee_msat": most, "final_cltv": 9});
        sim.call("getroutes", ask)
    };
    let unknown = search(50_000, &["ours"]);
    assert!(unknown["error"]["message"].as_str().unwrap().contains("unknown layer"), "{unknown}");
    let made = sim.call("askrene-create-layer", json!({"layer": "ours"}));
    alike([&recorded("askrene/create_layer.json")], [&made]);
    let fee = |answer: &Value| {
        let hop = &answer["routes"][0]["path"][0];
        hop["amount_in_msat"].as_u64().unwrap() - hop["amount_out_msat"].as_u64().unwrap()
    };
    let through_us = search(50_000, &["ours"]);
    alike([&recorded("askrene/getroutes_a_to_d.json")], [&through_us]);
    sim.call("askrene-disable-node", json!({"layer": "ours", "node": sim.call("getinfo", json!({}))["id"]}));
    let around = search(50_000, &["ours"]);
    assert!(fee(&around) > fee(&through_us), "our fee is the lower one: {around}");
    assert_eq!(search(0, &["ours"]), recorded("askrene/getroutes_fee_too_low_error.json"));
    sim.call("sim-neighbours", json!({"route": false}));
    let nowhere = search(50_000, &["ours"]);
    assert_eq!(
        nowhere["error"]["code"],
        recorded("askrene/getroutes_noroute_error.json")["error"]["code"],
        "{nowhere}"
    );
    assert!(nowhere["error"]["message"].as_str().unwrap().contains("disabled by layer ours"), "{nowhere}");
    let again = sim.call("askrene-create-layer", json!({"layer": "ours"}));
    assert_eq!(again["error"]["message"], "Layer already exists");
}

/// The reason may name our layer; that does not mean that it has to be made again.
#[tokio::test]
async fn no_way_is_an_answer() {
    let sim = Sim::start(&[]);
    sim.call("sim-neighbours", json!({"sling": true}));
    let peer = |place: usize| sim.channel(place)["peer_id"].as_str().unwrap().parse::<PeerId>().unwrap();
    let (from, to, node) = (peer(0), peer(1), CoreLightning::new(sim.socket()));
    let search = || node.way(from, to, Msat(1_000_000));
    assert!(search().await.unwrap().is_some());
    sim.call("sim-neighbours", json!({"route": false}));
    assert_eq!(search().await.unwrap(), None);
    sim.call("sim-neighbours", json!({"route": true}));
    assert!(search().await.unwrap().is_some());
}

/// Some sat, moved from the first channel to the second; the payment's hash.
fn moved(sim: &Sim) -> Value {
    let scid = |place: usize| sim.channel(place)["short_channel_id"].clone();
    sim.call("sim-neighbours", json!({"sling": true, "cost": 10}));
    let order = json!({"scid": scid(1), "direction": "pull", "amount": 20_000, "onceamount": 20_000, "maxppm": 50_000,
        "candidates": [scid(0)]});
    assert_eq!(sim.call("sling-once", order)["result"], "started");
    let complete = || sim.call("listsendpays", json!({"status": "complete"}))["payments"].get(0).cloned();
    sim.until(5, complete)["payment_hash"].clone()
}

/// With sling beside it the node tells what openings and splices cost as it does without.
#[test]
fn payments_to_ourselves_stand_beside_what_else_the_books_say() {
    let sim = Sim::start(&["--history-days=2"]);
    let [from, to, other] = [0, 1, 2].map(|place| sim.channel(place)["channel_id"].clone());
    let payment = moved(&sim);
    sim.call("sim-splice", json!([from, 100_000]));
    sim.call("sim-advance", json!([1_200]));
    let account = |id: &Value| sim.call("bkpr-listaccountevents", json!([id]));
    for (kind, count) in [("chain", 3), ("onchain_fee", 2), ("channel", 1)] {
        let mine = rows(&account(&from), "events", |row: &Value| row["type"] == kind);
        assert_eq!(mine.len(), count, "{kind}: {mine:?}");
    }
    let is_ours = |row: &Value| row["tag"] == "invoice" && row["is_rebalance"] == true;
    let ends: Vec<Value> = [&from, &to].iter().flat_map(|id| rows(&account(id), "events", is_ours)).collect();
    alike(&rows(&recorded("bkpr/listaccountevents_rebalances.json"), "events", is_ours), &ends);
    assert!(ends.iter().all(|end| end["events"][0]["payment_id"] == payment), "{ends:?}");
    assert_eq!(rows(&account(&other), "events", is_ours), Vec::<Value>::new(), "it had no part in it");

    let record = sim.call("listchannelmoves", json!({"index": "created", "start": 1, "limit": 1_000}));
    let record = record["channelmoves"].as_array().unwrap();
    let told = |field: &str| record.iter().map(|row| row[field].clone()).collect::<Vec<_>>();
    assert_eq!((told("account_id"), told("created_index")), (vec![from.clone(), to], vec![json!(1), json!(2)]));
    let page = sim.call("listchannelmoves", json!({"index": "created", "start": 2, "limit": 1_000}));
    assert_eq!(page["channelmoves"], json!([record[1]]));

    let is_fee = |row: &Value| row["tag"] == "rebalance_fee";
    let fees = rows(&sim.call("bkpr-listincome", json!({})), "income_events", is_fee);
    alike(&rows(&recorded("bkpr/listincome.json"), "income_events", is_fee), &fees);
    let fee = &fees[0]["income_events"][0];
    assert_eq!((&fee["account"], &fee["debit_msat"]), (&from, &record[0]["fees_msat"]));
}
