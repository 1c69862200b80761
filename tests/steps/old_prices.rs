//! Payers who come with an old price: what the node's list of forwards tells of them reaches the learner.

use cl_revenue_ops::fees;

use super::stage::Stage;

#[tokio::test]
async fn who_is_refused_for_an_old_price_is_counted_and_so_is_who_pays_the_new_one() {
    let stage = Stage::new(3, 8, &[]).await;
    stage.market_fee(cl_revenue_ops::domain::Ppm(200));
    stage.hours(12.0 * 24.0).await;
    let (mut refused, mut stayed) = (0.0, 0.0);
    for row in stage.ledger.memories().await.unwrap() {
        let memory = fees::recalled(&row.memory, row.learned.as_deref()).unwrap();
        let told = fees::learner(&memory).unwrap().json();
        refused += told["old_price"]["refused"].as_f64().unwrap();
        stayed += told["old_price"]["came_back"].as_f64().unwrap();
    }
    let market = stage.node.inner.market();
    let truth = market.sight().refused(0);
    let came_back = truth.iter().filter(|(_, refused)| refused.came_back).count();
    println!("{refused} of {} refused, {stayed} of {came_back} came back", truth.len());
    // Less what a surprise halves, who came while the peer was away or in the last minute, and who pays by a third channel.
    assert!(truth.len() > 100 && refused <= truth.len() as f64 && refused > 0.7 * truth.len() as f64);
    assert!(stayed <= came_back as f64 * 1.02 && stayed > 0.7 * came_back as f64);
    let share = came_back as f64 / truth.len() as f64;
    assert!((stayed / refused - share).abs() < 0.05, "{} instead of {share}", stayed / refused);
}
