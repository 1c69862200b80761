//! The market in memory, held to the same contract as a real node; and what the steps tell of a node.

mod contract;

use std::collections::BTreeMap;
use std::sync::Arc;

use cl_revenue_ops::domain::{Channel, ForwardIndex};
use cl_revenue_ops::node::cln::CoreLightning;
use cl_revenue_ops::node::{ForwardPage, Node};
use cl_revenue_ops::ops::Job;
use cl_revenue_ops::options::Layers;
use cl_revenue_ops::sim::lightningd::{Config, serve};
use cl_revenue_ops::sim::network::Scenario;
use cl_revenue_ops::sim::node::SimNode;
use cl_revenue_ops::sim::{Kind, Simulation};

#[tokio::test]
async fn the_market_keeps_the_contract_of_a_node() {
    let node = SimNode::new(Scenario::default());
    node.advance(node.now().plus_hours(6.0));
    let page = ForwardPage { index: ForwardIndex::Updated, start: 1, limit: 20 };
    assert_eq!(node.forwards(page).await.expect("a market in memory answers").len(), 20, "there is something to check");
    contract::check_node(&node).await;
}

#[tokio::test]
async fn slots_that_an_attacker_holds_are_listed() {
    let node = Arc::new(SimNode::new(Kind::by_name("S7").unwrap().scenario(1)));
    let full = |channel: &Channel| Some(channel.htlcs_out) == channel.max_htlcs;
    let mut hours = 0;
    while !node.channels().await.unwrap().iter().any(full) {
        node.advance(node.now().plus_hours(1.0));
        hours += 1;
        assert!(hours < 24 * 60, "nobody attacks");
    }
    let place = tempfile::tempdir().unwrap();
    let config = Config {
        lightning_dir: place.path().to_owned(),
        plugins: Vec::new(),
        options: Vec::new(),
        speed: 0.0,
        quiet: true,
    };
    let serving = tokio::spawn(serve(node.clone(), config));
    let socket = place.path().join("regtest/lightning-rpc");
    while !socket.exists() {
        assert!(!serving.is_finished(), "the simulated node does not serve");
        tokio::task::yield_now().await;
    }
    let slots = |channels: Vec<Channel>| {
        let slots = channels.into_iter().map(|c| (c.channel_id, (c.htlcs_out, c.htlcs_in, c.max_htlcs)));
        slots.collect::<BTreeMap<_, _>>()
    };
    let listed = slots(CoreLightning::new(&socket).channels().await.unwrap());
    assert_eq!(listed, slots(node.channels().await.unwrap()));
    serving.abort();
}

#[tokio::test]
async fn a_node_that_was_read_once_is_running_whatever_fails_afterwards() {
    let ops = Simulation::new(Scenario::default(), Layers::default()).await.unwrap().ops;
    assert!(!ops.status().await.unwrap().caught_up);
    ops.sync().await.unwrap();
    for job in Job::ALL {
        ops.jobs().ran(job, ops.now(), Some("no answer".to_owned()));
    }
    let status = ops.status().await.unwrap();
    assert!(status.caught_up);
    assert_eq!(status.warnings.len(), Job::ALL.len(), "{:?}", status.warnings);
}
