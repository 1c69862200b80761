//! The market in memory, held to the same contract as a real node.

mod contract;

use cl_revenue_ops::domain::ForwardIndex;
use cl_revenue_ops::node::{ForwardPage, Node};
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
