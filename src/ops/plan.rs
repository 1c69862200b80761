//! The plan of the whole node: made twice a day within the fee step, kept in the ledger in between.

use std::borrow::Cow;
use std::sync::Arc;

use super::Ops;
use super::fee_cycle::Scene;
use crate::domain::Policy;
use crate::fees::{self, Plan, PlanInputs, Planned, Tuning};

/// Name of the plan in the ledger.
const NOTE: &str = "plan";

impl Ops {
    /// The plan that holds now; a new one is saved before anything is decided by it.
    pub(super) async fn plan(&self, scene: &Scene, tuning: &Tuning) -> anyhow::Result<Arc<Plan>> {
        let by_peer = scene.view.priced_by_peer();
        let policies: Vec<Cow<Policy>> = by_peer.iter().map(|(_, channels)| scene.rules.of_all(channels)).collect();
        let planned =
            |((peer, channels), policy)| Planned { peer, channels, memory: scene.memories.get(&peer), policy };
        let peers: Vec<Planned> = by_peer.into_iter().zip(policies.iter().map(Cow::as_ref)).map(planned).collect();
        let inputs = PlanInputs {
            now: scene.view.now,
            peers: &peers,
            market: &scene.market,
            tuning,
            last: scene.kept.as_deref(),
        };
        if let Some(kept) = scene.kept.as_ref().filter(|_| !inputs.is_due()) {
            return Ok(kept.clone());
        }
        let plan = Arc::new(fees::plan(&inputs));
        self.ledger.save_note(inputs.now, NOTE, &serde_json::to_string(&*plan)?).await?;
        self.seen.change(|seen| seen.plan = Some(plan.clone()));
        Ok(plan)
    }

    /// The last plan. One that cannot be read is no loss: it is made anew from what it was made of.
    pub(super) async fn kept_plan(&self) -> anyhow::Result<Option<Arc<Plan>>> {
        if let Some(plan) = self.seen.read(|seen| seen.plan.clone()) {
            return Ok(Some(plan));
        }
        let Some(text) = self.ledger.note(NOTE).await? else { return Ok(None) };
        let plan: Option<Arc<Plan>> = serde_json::from_str(&text)
            .inspect_err(|error| tracing::warn!("the saved plan cannot be read and is made anew: {error}"))
            .ok()
            .map(Arc::new);
        self.seen.change(|seen| seen.plan.clone_from(&plan));
        Ok(plan)
    }
}
