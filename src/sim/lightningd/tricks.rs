//! What a real lightningd has no command for: moving time, splicing and closing on demand, and making things go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::Lightningd;
use super::channels::{find, state_name, timestamp};
use super::wire::{Answer, Params, RpcError};
use crate::domain::{Scid, Time};
use crate::sim::channel::Stage;

/// How long the market's blocks keep a splice or a close waiting (s).
const CONFIRMATION_SECS: i64 = 600;
/// The longest jump of `sim-advance`: ten years.
const LONGEST_SECS: u64 = 315_360_000;

#[derive(Debug, Default)]
pub(super) struct Tricks {
    faults: BTreeMap<String, Fault>,
    errands: Vec<Errand>,
    /// Splices and closes that were confirmed, in their order.
    pub(super) coins: Vec<super::coins::Coin>,
    pub(super) neighbours: super::neighbours::Neighbours,
    /// Nodes that the search for routes leaves out, by layer.
    pub(super) layers: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Fault {
    kind: Kind,
    /// How many calls it spoils.
    left: u64,
    delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hang,
    Error,
    Slow,
}

/// What will have to be done at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errand {
    pub at: Time,
    channel: usize,
    task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// The splice is confirmed; so much goes in (msat), or out.
    Splice(i64),
    Forget,
}

impl Tricks {
    /// Takes out what is due, in the order of time.
    pub(super) fn due(&mut self, now: Time) -> Vec<Errand> {
        let (mut due, later): (Vec<_>, Vec<_>) = self.errands.drain(..).partition(|errand| errand.at <= now);
        self.errands = later;
        due.sort_by_key(|errand| errand.at);
        due
    }
}

impl Lightningd {
    /// What was ordered to go wrong with this command goes wrong.
    pub(super) async fn act_up(&self, method: &str) -> Result<(), RpcError> {
        let fault = {
            let mut tricks = self.tricks();
            let Some(fault) = tricks.faults.get_mut(method).filter(|fault| fault.left > 0) else { return Ok(()) };
            fault.left -= 1;
            *fault
        };
        match fault.kind {
            Kind::Error => Err(RpcError::new(-1, "simulated fault")),
            Kind::Hang => std::future::pending().await,
            Kind::Slow => {
                let never = std::future::pending::<()>();
                let _ = tokio::time::timeout(fault.delay, never).await;
                Ok(())
            }
        }
    }

    pub(super) fn trick(&self, name: &str, params: &Params) -> Answer {
        match name {
            "sim-advance" => {
                let missing = || RpcError::params("missing required parameter: seconds");
                let secs = params.number("seconds")?.ok_or_else(missing)?.min(LONGEST_SECS);
                self.skipped.fetch_add(secs * 1000, Ordering::SeqCst);
                self.catch_up();
                Ok(json!({"now": self.node.now().secs()}))
            }
            "sim-fault" => self.order_fault(params),
            "sim-neighbours" => self.play_neighbours(params),
            "sim-feerate" => {
                self.node.fix_feerate(params.number("perkb")?);
                Ok(json!({"perkb": self.node.feerate_now().sat_per_kvb}))
            }
            "sim-splice" => {
                let place = self.channel(params, &[Stage::Normal])?;
                let sat = params.text("sat").unwrap_or_else(|| "0".to_owned());
                let sat: i64 = sat.parse().map_err(|_| RpcError::token("sat", "should be an integer"))?;
                self.move_on(place, Stage::AwaitingSplice, Task::Splice(sat.saturating_mul(1000)))
            }
            _ => {
                let place = self.channel(params, &[Stage::Normal, Stage::AwaitingSplice])?;
                self.move_on(place, Stage::Closing, Task::Forget)
            }
        }
    }

    fn order_fault(&self, params: &Params) -> Answer {
        let method = params.required_text("method")?;
        let kind = match params.required_text("kind")?.as_str() {
            "hang" => Kind::Hang,
            "error" => Kind::Error,
            "slow" => Kind::Slow,
            _ => return Err(RpcError::token("kind", "should be 'hang', 'error' or 'slow'")),
        };
        let left = params.number("for")?.unwrap_or(1);
        let delay = Duration::from_secs(params.number("seconds")?.unwrap_or(5));
        self.tricks().faults.insert(method.clone(), Fault { kind, left, delay });
        Ok(json!({"method": method, "for": left}))
    }

    fn channel(&self, params: &Params, stages: &[Stage]) -> Result<usize, RpcError> {
        let name = params.required_text("channel")?;
        let market = self.node.market();
        let place = find(&market, &name).ok_or_else(|| RpcError::token("channel", "Unknown channel"))?;
        let stage = market.channels[place].stage;
        if !stages.contains(&stage) {
            return Err(RpcError::token("channel", &format!("Channel in state {}", state_name(stage))));
        }
        Ok(place)
    }

    fn move_on(&self, channel: usize, stage: Stage, task: Task) -> Answer {
        let (at, id) = {
            let mut market = self.node.market();
            market.set_stage(channel, stage);
            (market.now().plus_secs(CONFIRMATION_SECS), market.channels[channel].seat.channel_id)
        };
        self.tricks().errands.push(Errand { at, channel, task });
        self.catch_up();
        Ok(json!({"channel_id": id, "confirmed_at": at.secs()}))
    }

    pub(super) fn carry_out(&self, errand: &Errand) {
        let splice = match errand.task {
            Task::Splice(msat) => Some(msat),
            Task::Forget => None,
        };
        self.tricks().coins.push(super::coins::Coin { channel: errand.channel, splice, at: errand.at });
        let mut market = self.node.market();
        let height = market.height();
        match errand.task {
            Task::Forget => market.set_stage(errand.channel, Stage::Closed),
            Task::Splice(msat) if market.channels[errand.channel].stage == Stage::AwaitingSplice => {
                let channel = &mut market.channels[errand.channel];
                let local = channel.local.saturating_add_signed(msat);
                channel.capacity = channel.capacity - channel.local + local;
                channel.local = local;
                channel.old_scids.push(channel.scid);
                let place = u32::try_from(errand.channel).unwrap_or(0);
                channel.scid = Scid::new(height, 1 + place, 1).unwrap_or(channel.scid);
                market.set_stage(errand.channel, Stage::Normal);
            }
            Task::Splice(_) => {}
        }
    }

    /// The notifications that a change of stage is on the wire.
    pub(super) fn state_changes(&self, channel: usize, old: Stage, new: Stage) -> Vec<Value> {
        let steps: &[(&str, &str, &str)] = match (old, new) {
            (_, Stage::AwaitingSplice) => &[("CHANNELD_NORMAL", "CHANNELD_AWAITING_SPLICE", "Splice signatures sent")],
            (Stage::AwaitingSplice, Stage::Normal) => {
                &[("CHANNELD_AWAITING_SPLICE", "CHANNELD_NORMAL", "Lockin complete")]
            }
            (_, Stage::Closing) => &[
                ("CHANNELD_NORMAL", "CHANNELD_SHUTTING_DOWN", "User or plugin invoked close command"),
                ("CHANNELD_SHUTTING_DOWN", "CLOSINGD_SIGEXCHANGE", "Start closingd"),
                ("CLOSINGD_SIGEXCHANGE", "CLOSINGD_COMPLETE", "Closing complete"),
            ],
            (_, Stage::Closed) => &[
                ("CLOSINGD_COMPLETE", "FUNDING_SPEND_SEEN", "Onchain funding spend"),
                ("FUNDING_SPEND_SEEN", "ONCHAIN", "Onchain init reply"),
                ("ONCHAIN", "CLOSED", ""),
            ],
            _ => &[],
        };
        let market = self.node.market();
        let (channel, now) = (&market.channels[channel], market.now());
        let event = |(old, new, message): &(&str, &str, &str)| {
            json!({
                "peer_id": channel.peer_id,
                "channel_id": channel.seat.channel_id,
                "short_channel_id": channel.scid,
                "timestamp": timestamp(now),
                "old_state": old,
                "new_state": new,
                "cause": if message.is_empty() { "unknown" } else { "user" },
                "message": if message.is_empty() { Value::Null } else { json!(message) },
            })
        };
        steps.iter().map(event).collect()
    }
}
