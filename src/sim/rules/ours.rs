//! The plugin's own pricing as one rule among the others: hands the room `fees` what the plugin's steps would hand it, without a
//! ledger in between. Contains no rule of its own.

use std::collections::{HashMap, VecDeque};

use crate::domain::{Channel, Msat, NodeView, PeerId, Policy, Ppm, Time};
use crate::fees::vegas::{self, VegasInputs, VegasState};
use crate::fees::{self, Action, FeeInputs, Memory, Observed, Plan, PlanInputs, Planned, Tuning, Updates};
use crate::flow::traffic::traffic_index;
use crate::flow::{self, DaySum, FlowInputs};
use crate::ops;
use crate::options::Options;
use crate::sim::channel::Stage;
use crate::sim::market::Market;
use crate::sim::rules::{Quote, Rule};

/// Weeks of forwards behind the traffic index, as in the fee step.
const TRAFFIC_HOURS: f64 = 28.0 * 24.0;
const DAY_HOURS: f64 = 24.0;

pub struct Ours {
    options: Options,
    tuning: Tuning,
    memories: HashMap<PeerId, Memory>,
    vegas: VegasState,
    /// Prices of block space of the last day.
    feerates: VecDeque<(Time, f64)>,
    channels: Vec<Known>,
    /// Without plans each channel is priced alone.
    plans: bool,
    plan: Option<Plan>,
    /// Refused payers of whom the channels' learners have been told.
    refused: usize,
}

/// What is kept of one channel.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The first look.
    start: Option<Time>,
    /// At the last decision.
    counted: Sums,
    /// One for each hour since the first look.
    hourly: Vec<Sums>,
    out_per_day: f64,
    /// Our changes of the last day, and whether they were urgent.
    changes: VecDeque<(Time, bool)>,
}

/// Sums since the channel was opened.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    events: u64,
    out_msat: u64,
    out_count: u64,
    /// What forwards brought in.
    in_msat: u64,
    /// Of all that came in, because nobody counts the forwards among it.
    in_count: u64,
}

impl Ours {
    pub fn new(options: Options) -> Ours {
        let tuning = ops::tuning(&options);
        Ours {
            options,
            tuning,
            memories: HashMap::new(),
            vegas: VegasState::default(),
            feerates: VecDeque::new(),
            channels: Vec::new(),
            plans: true,
            plan: None,
            refused: 0,
        }
    }

    /// The same, with each channel priced alone.
    pub fn alone(options: Options) -> Ours {
        Ours { plans: false, ..Ours::new(options) }
    }

    /// What a node tells of its channels, and the sums since the last look.
    fn view(&mut self, market: &Market) -> NodeView {
        let now = market.now();
        self.channels.resize_with(market.channels.len(), Known::default);
        for (place, known) in self.channels.iter_mut().enumerate() {
            known.changes.retain(|(at, _)| now.hours_since(*at) <= DAY_HOURS);
            known.keep_flow(place, market, self.options.flow_window_days);
        }
        let open = market.channels.iter().filter(|channel| channel.stage != Stage::Closed);
        let channels = open.map(|channel| channel.view(market.is_online(channel))).collect();
        NodeView { now, channels, feerate: Some(market.feerate()) }
    }

    fn market(&mut self, market: &Market) -> fees::Market {
        let now = market.now();
        let from = now.plus_hours(-TRAFFIC_HOURS);
        let hours: Vec<(i64, u64)> = market.sight().hours(from).collect();
        let first = hours.first().map_or(now, |(hour, _)| Time(hour * 3_600_000).max(from));
        let mut amounts: Vec<Msat> = market.sight().amounts().collect();
        amounts.sort_unstable();
        let sat_per_kvb = market.feerate().sat_per_kvb;
        fees::Market {
            amounts,
            traffic: traffic_index(&hours, first, now),
            floor_multiplier: self.vegas(now, sat_per_kvb as f64),
            sat_per_kvb: Some(sat_per_kvb),
            patience: fees::patience_of(self.plan.as_ref()),
        }
    }

    fn vegas(&mut self, now: Time, sat_per_kvb: f64) -> f64 {
        self.feerates.retain(|(at, _)| now.hours_since(*at) <= DAY_HOURS);
        let average = self.feerates.iter().map(|(_, price)| price).sum::<f64>() / self.feerates.len().max(1) as f64;
        let inputs = VegasInputs {
            now,
            sat_per_kvb: Some(sat_per_kvb),
            average_24h: (!self.feerates.is_empty()).then_some(average),
            decay: self.options.vegas_decay,
            enabled: self.options.vegas_reflex,
        };
        self.vegas = vegas::step(&self.vegas, &inputs);
        self.feerates.push_back((now, sat_per_kvb));
        self.vegas.multiplier()
    }

    /// What happened on these channels since the last look.
    fn observe(&mut self, places: &[usize], market: &Market, seen_until: Option<Time>) -> Observed {
        let now = market.now();
        let mut observed = Observed { from: seen_until.unwrap_or(now), to: now, ..Observed::default() };
        for place in places {
            let sums = Sums::of(*place, market);
            let before = std::mem::replace(&mut self.channels[*place].counted, sums);
            if seen_until.is_some() {
                observed.events += (sums.events - before.events) as f64;
                observed.out_msat += (sums.out_msat - before.out_msat) as f64;
                observed.settled += (sums.out_count - before.out_count) as f64;
                observed.in_msat += (sums.in_msat - before.in_msat) as f64;
                let here = market.sight().refused(self.refused).iter().filter(|(to, _)| *to as usize == *place);
                observed.refused.extend(here.map(|(_, refused)| *refused));
            }
        }
        observed
    }

    /// Makes a plan when it is time for one.
    fn keep_plan(&mut self, peers: &[(PeerId, Vec<&Channel>)], market: &Market, seen: &fees::Market) {
        let peers: Vec<Planned> = peers
            .iter()
            .map(|(peer, channels)| Planned {
                peer: *peer,
                channels: channels.clone(),
                memory: self.memories.get(peer),
                policy: Policy::controller(),
            })
            .collect();
        let inputs = PlanInputs {
            now: market.now(),
            peers: &peers,
            market: seen,
            tuning: &self.tuning,
            last: self.plan.as_ref(),
        };
        if inputs.is_due() {
            self.plan = Some(fees::plan(&inputs));
        }
    }

    fn updates(&self, places: &[usize]) -> Updates {
        let most = |urgent: bool| {
            let count =
                |place: &usize| self.channels[*place].changes.iter().filter(|(_, kind)| *kind == urgent).count();
            u32::try_from(places.iter().map(count).max().unwrap_or(0)).unwrap_or(u32::MAX)
        };
        Updates { ordinary: most(false), urgent: most(true) }
    }

    /// Decides for one peer.
    fn price(&mut self, peer: PeerId, channels: &[&Channel], market: &Market, seen: &fees::Market) -> Vec<Quote> {
        let place_of =
            |channel: &&Channel| market.channels.iter().position(|c| c.seat.channel_id == channel.channel_id);
        let places: Vec<usize> = channels.iter().filter_map(place_of).collect();
        let memory = self.memories.remove(&peer);
        let observed = self.observe(&places, market, memory.as_ref().map(|memory| memory.seen_until));
        let decision = fees::decide(&FeeInputs {
            now: market.now(),
            peer,
            channels,
            out_per_day: Some(places.iter().map(|place| self.channels[*place].out_per_day).sum()),
            observed: &observed,
            market: seen,
            updates: self.updates(&places),
            memory: memory.as_ref(),
            bid: self.plan.as_ref().and_then(|plan| plan.bid(&peer)),
            tuning: &self.tuning,
            policy: Policy::controller(),
        });
        self.memories.insert(peer, decision.memory);
        let Action::Set { urgent } = decision.action else { return Vec::new() };
        let mut quotes = Vec::new();
        for place in places {
            let price = market.channels[place].price;
            if Ppm(price.ppm) != decision.target {
                self.channels[place].changes.push_back((market.now(), urgent));
                let base = Msat(self.options.base_fee_msat.unwrap_or(price.base));
                quotes.push(Quote { channel: place, base, ppm: decision.target });
            }
        }
        quotes
    }
}

impl Rule for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn every_secs(&self) -> i64 {
        i64::try_from(self.options.fee_interval).unwrap_or(i64::MAX)
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        let view = self.view(market);
        let seen = self.market(market);
        let peers = view.priced_by_peer();
        if self.plans {
            self.keep_plan(&peers, market, &seen);
        }
        let quotes =
            peers.into_iter().flat_map(|(peer, channels)| self.price(peer, &channels, market, &seen)).collect();
        self.refused = market.sight().refused(0).len();
        quotes
    }
}

impl Known {
    /// The flow analysis, once an hour.
    fn keep_flow(&mut self, place: usize, market: &Market, window_days: u64) {
        let now = market.now();
        let start = *self.start.get_or_insert(now);
        let hours = usize::try_from((now.0 - start.0) / 3_600_000).unwrap_or_default();
        if self.hourly.len() > hours {
            return;
        }
        self.hourly.push(Sums::of(place, market));
        self.out_per_day = flow::analyse(&FlowInputs {
            now,
            window_days,
            capacity: Msat(market.channels[place].capacity),
            days: self.days(window_days),
            last_forward: None,
            previous: None,
        })
        .out_per_day;
    }

    fn days(&self, window_days: u64) -> Vec<DaySum> {
        let sums = |age: u32| self.hourly.len().checked_sub(1 + 24 * age as usize).map(|place| self.hourly[place]);
        let days = (0..u32::try_from(window_days).unwrap_or(u32::MAX)).map_while(|age_days| {
            let (until, from) = (sums(age_days)?, sums(age_days + 1).unwrap_or_default());
            Some(DaySum {
                age_days,
                in_msat: until.in_msat - from.in_msat,
                out_msat: until.out_msat - from.out_msat,
                in_count: until.in_count - from.in_count,
                out_count: until.out_count - from.out_count,
            })
        });
        days.collect()
    }
}

impl Sums {
    fn of(place: usize, market: &Market) -> Sums {
        let channel = &market.channels[place];
        let brought = |to: usize| market.sight().moved(Some(place), to).0;
        Sums {
            events: channel.outgoing.fulfilled + channel.starved,
            out_msat: channel.outgoing.fulfilled_msat,
            out_count: channel.outgoing.fulfilled,
            in_msat: (0..market.channels.len()).map(brought).sum(),
            in_count: channel.incoming.fulfilled,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sim::{Kind, Network, Tape, play};

    #[test]
    fn the_same_tape_gives_the_same_decisions() {
        let scenario = Kind::by_name("M1").unwrap().scenario(1);
        let tape = Arc::new(Tape::new(Network::draw(scenario)).frozen(6));
        let [first, second] = [0, 1].map(|_| play(&tape, 6, &mut Ours::new(Options::default())));
        assert_eq!(first, second);
        assert!(first.total() > 0 && first.updates.iter().sum::<u32>() > 0);
        assert!(first.updates_per_channel_day() <= 4.0, "the gossip budget and as many urgent ones");
    }
}
