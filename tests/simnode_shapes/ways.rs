//! Searches for routes.

use cl_revenue_ops::domain::{Msat, PeerId};
use cl_revenue_ops::node::Node as _;
use cl_revenue_ops::node::cln::CoreLightning;
use serde_json::{Value, json};

use super::{Sim, alike, recorded};

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
