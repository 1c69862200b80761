//! The market in memory, held to the same contract as a real node; and what the steps tell of a node.

mod contract;

use cl_revenue_ops::domain::ForwardIndex;
use cl_revenue_ops::node::{ForwardPage, Node};
use cl_revenue_ops::ops::Job;
use cl_revenue_ops::options::Layers;
use cl_revenue_ops::sim::Simulation;
use cl_revenue_ops::sim::network::Scenario;
use cl_revenue_ops::sim::node::SimNode;

#[tokio::test]
async fn the_market_keeps_the_contract_of_a_node() {
    let node = SimNode::new(Scenario::default());
    node.advance(node.now().plus_hours(6.0));
    let page = ForwardPage { index: ForwardIndex::Updated, start: 1, limit: 20 };
    assert_eq!(node.forwards(page).await.expect("a market in memory answers").len(), 20, "there is something to check");
    contract::check_node(&node).await;
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
    assert_eq!(status.warnings.len(), 3, "{:?}", status.warnings);
}
