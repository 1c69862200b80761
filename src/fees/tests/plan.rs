//! The plan of the whole node in a decision about one peer.

use super::*;

/// Where the plan prices, a sentence that only told of the learner would not explain the fee.
#[test]
fn the_plan_is_part_of_the_answer() {
    let s = scene(200);
    let bid = Bid { peer: peer(), mu: 120.0, cost: 80.0, fee: 400.0, holds: true };
    let text = summary(&Scene { bid: Some(bid), ..s.clone() }.decide().why);
    assert!(text.contains("the plan asks 400"), "{text}");
    let alone = Bid { holds: false, ..bid };
    let text = summary(&Scene { bid: Some(alone), ..s }.decide().why);
    assert!(text.contains("learner asks") && !text.contains("plan"), "{text}");
}
