//! What must hold in every market, whatever its fees.

use std::sync::Arc;

use super::channel::Price;
use super::tape::DAY_MS;
use super::*;
use crate::domain::ForwardIndex;
use crate::domain::forward::TEMPORARY_CHANNEL_FAILURE;
use crate::domain::{ForwardStatus, Msat, Ppm, Time};
use crate::node::{FeeOrder, ForwardPage, Node};
use crate::options::Layers;

fn scenario(seed: u64, channels: u32) -> Scenario {
    Scenario { seed, channels, ..Scenario::default() }
}

fn played(seed: u64, days: i64, ppm: u32) -> SimNode {
    let node = SimNode::new(scenario(seed, 8));
    node.set_all(Ppm(ppm));
    node.advance(Time(node.now().0 + days * DAY_MS));
    node
}

#[test]
fn the_same_seed_gives_the_same_market() {
    let tapes = [4, 4, 5].map(|seed| Tape::new(Network::draw(scenario(seed, 8))));
    assert_eq!(tapes[0].day(3), tapes[1].day(3));
    assert_ne!(tapes[0].day(3), tapes[2].day(3));
    let books = [1, 1].map(|seed| format!("{:?}", played(seed, 3, 200).market().book()));
    assert_eq!(books[0], books[1]);
}

#[test]
fn what_our_balances_gain_is_what_was_earned() {
    for seed in 1..6 {
        let node = SimNode::new(scenario(seed, 8));
        let sum = |node: &SimNode| node.market().channels.iter().map(|c| c.to_us()).sum::<u64>();
        let before = sum(&node);
        for hour in 0..24 * 7u32 {
            node.advance(Time(node.now().0 + 3_600_000));
            let ppm = 50 + (hour * 37) % 400;
            let mut market = node.market();
            let channel = hour as usize % 8;
            let price = Price { base: u64::from(hour), ppm, ..market.channels[channel].price };
            market.set_price(channel, price, None);
        }
        assert_eq!(sum(&node) - before, node.earned().0);
        let market = node.market();
        for channel in &market.channels {
            let parts = channel.local + channel.remote + channel.flying_out + channel.flying_in;
            assert_eq!(parts, channel.capacity);
        }
        let book = market.book().unwrap();
        let settled = book.iter().filter(|e| e.status == ForwardStatus::Settled).filter_map(|e| e.fee());
        assert_eq!(settled.sum::<u64>(), market.channels.iter().map(|c| c.earned).sum::<u64>());
        let days = (0..=market.day_number()).flat_map(|day| market.earned_on(day)).sum::<Msat>();
        assert_eq!(days.0, market.channels.iter().map(|c| c.earned).sum::<u64>());
    }
}

#[tokio::test]
async fn forwards_are_paged_as_core_lightning_pages_them() {
    let node = played(2, 4, 150);
    let (created, updated) = {
        let market = node.market();
        let book = market.book().unwrap();
        (book.created(), book.updated())
    };
    assert!(created > updated && updated > 100, "{created} {updated}");
    for (index, count) in [(ForwardIndex::Created, created), (ForwardIndex::Updated, updated)] {
        let mut pages = Vec::new();
        while pages.last().is_none_or(|page: &Vec<_>| !page.is_empty()) {
            let start = pages.iter().map(Vec::len).sum::<usize>() as u64 + 1;
            pages.push(node.forwards(ForwardPage { index, start, limit: 77 }).await.unwrap());
        }
        let all = pages.concat();
        assert_eq!(all.len() as u64, count);
        for (number, forward) in (1..).zip(&all) {
            let created = index == ForwardIndex::Created;
            assert_eq!(if created { forward.created_index } else { forward.updated_index }, Some(number));
            let ours = forward.status == ForwardStatus::LocalFailed;
            let resolved = matches!(forward.status, ForwardStatus::Settled | ForwardStatus::Failed);
            assert_eq!((forward.failcode.is_some(), forward.out_msat.is_none()), (ours, ours));
            assert_eq!((forward.updated_index.is_some(), forward.resolved.is_some()), (resolved, resolved));
        }
    }
    let first = node.forwards(ForwardPage { index: ForwardIndex::Created, start: 0, limit: 1 }).await.unwrap();
    assert_eq!(first[0].created_index, Some(1));
}

#[tokio::test]
async fn pruning_leaves_the_counters() {
    let node = played(2, 4, 150);
    let created = node.market().book().unwrap().created();
    node.prune(Time(node.now().0 - DAY_MS));
    let market = node.market();
    let book = market.book().unwrap();
    assert_eq!(book.created(), created);
    assert_eq!(book.deleted() + book.iter().count() as u64, created);
    assert!(book.deleted() > 0);
    let updated: Vec<u64> = book.from_index(ForwardIndex::Updated, 1).map(|e| e.updated).collect();
    assert!(updated.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{updated:?}");
}

#[test]
fn where_money_comes_from_elsewhere_none_is_lost_and_none_is_made() {
    for name in ["S1", "S3", "S7", "S10"] {
        let kind = Kind::by_name(name).unwrap();
        let tape = Arc::new(Tape::new(Network::draw(kind.scenario(1))).frozen(10));
        let mut market = Market::new(tape.clone());
        market.set_all(Ppm(150));
        let sum = |market: &Market| market.channels.iter().map(|c| c.to_us()).sum::<u64>();
        let before = sum(&market);
        market.advance(Time(tape.start_of(10).0 - 1));
        assert_eq!(sum(&market) + market.tally.lost, before + market.tally.gained, "{name}");
        assert!(market.tally.lost > 0 && market.tally.gained > 0, "{name}: {:?}", market.tally);
        for channel in &market.channels {
            let parts = channel.local + channel.remote + channel.flying_out + channel.flying_in;
            assert_eq!(parts, channel.capacity, "{name}");
        }
    }
}

#[test]
fn a_higher_fee_never_sells_more() {
    // Two channels with two peers, none of them ever away, and enough balance: price alone decides.
    for seed in 0..20 {
        let shape = Scenario { offline: 0.0, parallel: 0.0, rivalry: 0.0, ..scenario(seed, 2) };
        let tape = Arc::new(Tape::new(Network::draw(shape)).frozen(1));
        let mut before = u64::MAX;
        for ppm in [0, 20, 60, 150, 400, 1_000, 3_000] {
            let mut market = Market::new(tape.clone());
            market.set_all(Ppm(ppm));
            for channel in &mut market.channels {
                channel.capacity *= 1_000;
                channel.local = channel.capacity / 2;
                channel.remote = channel.capacity / 2;
                channel.price.htlc_max = channel.capacity;
            }
            market.advance(tape.start_of(1).plus_hours(-1e-6));
            let sold = market.tally.settled + market.tally.failed;
            assert!(sold <= before, "seed {seed}: {sold} at {ppm} ppm, {before} at less");
            before = sold;
        }
    }
}

#[tokio::test]
async fn old_prices_are_honoured_for_ten_minutes_and_then_refused() {
    let node = played(3, 2, 20);
    for channel in node.channels().await.unwrap() {
        node.set_fee(FeeOrder::rate(channel.channel_id, Ppm(120))).await.unwrap();
    }
    let raised = node.now();
    node.advance(Time(raised.0 + 6 * 3_600_000));
    let market = node.market();
    let book = market.book().unwrap();
    let refused: Vec<Time> = book.iter().filter(|e| e.failcode == 0x100c).map(|e| e.received).collect();
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|at| *at >= raised.plus_secs(600)), "{refused:?} {raised:?}");
    let cheap = |e: &&book::Entry| {
        e.received > raised && e.fee().is_some_and(|fee| fee < Ppm(120).fee_floor(Msat(e.out.unwrap().msat)).0)
    };
    assert!(book.iter().filter(cheap).all(|e| e.received < raised.plus_secs(600)));
}

#[test]
fn an_empty_channel_is_seen_as_lack_of_liquidity() {
    let node = played(1, 10, 30);
    let market = node.market();
    let book = market.book().unwrap();
    let starved = book.iter().filter(|e| e.failcode == TEMPORARY_CHANNEL_FAILURE).count() as u64;
    assert_eq!(starved, market.tally.starved);
    assert!(starved > 20, "{:?}", market.tally);
    assert_eq!(starved, market.channels.iter().map(|channel| channel.starved).sum::<u64>());
    let settled = market.tally.settled;
    assert!(settled > 500, "{:?}", market.tally);
}

#[test]
fn a_node_knows_what_went_from_where_to_where() {
    let node = played(1, 3, 100);
    let market = node.market();
    for (place, channel) in market.channels.iter().enumerate() {
        let from = (0..8).map(Some).chain([None]);
        let moved: u64 = from.map(|from| market.sight().moved(from, place).0).sum();
        assert_eq!(moved, channel.outgoing.fulfilled_msat);
    }
    let hours = market.sight().hours(Time(0)).map(|(_, count)| count).sum::<u64>();
    assert_eq!(hours, market.tally.settled);
    assert_eq!(market.sight().amounts().count(), 400);
}

#[test]
fn the_best_fixed_fee_is_neither_the_lowest_nor_the_highest() {
    let tape = Arc::new(Tape::new(Network::draw(scenario(9, 20))).frozen(10));
    let earned = [1, 30, 100, 200, 400, 800, 3_000]
        .map(|ppm| play_static(&tape, 10, Ppm(ppm)).into_iter().map(|day| day.0).sum::<u64>());
    let best = earned.iter().max().unwrap();
    assert!(earned[0] < best / 2 && earned[1] < *best && earned[6] < *best, "{earned:?}");
}

fn tape_of(name: &str, days: u32) -> Arc<Tape> {
    Arc::new(Tape::new(Network::draw(Kind::by_name(name).unwrap().scenario(1_001))).frozen(days))
}

fn at_200(name: &str, days: u32) -> (Arc<Tape>, Market) {
    let tape = tape_of(name, days);
    let mut market = Market::new(tape.clone());
    market.set_all(Ppm(200));
    market.advance(Time(tape.start_of(days).0 - 1));
    (tape, market)
}

#[test]
fn every_scenario_is_the_same_again() {
    for kind in scenario::KINDS {
        let [first, second] = [0, 1].map(|_| play_fixed(&tape_of(kind.name, 3), 3, &[Ppm(150); 20]));
        assert_eq!(first, second, "{}", kind.name);
        let closed = tape_of(kind.name, 1).day(0).payments.iter().all(|p| p.from != tape::ELSEWHERE && p.choices > 0);
        assert!(kind.name == "S11" || closed == kind.is_closed(), "{}", kind.name);
    }
}

#[test]
fn a_sink_drains_and_a_dead_market_stands_still() {
    let share = |market: &Market| {
        let sum = |of: fn(&channel::SimChannel) -> u64| market.channels.iter().map(of).sum::<u64>() as f64;
        sum(|c| c.to_us()) / sum(|c| c.capacity)
    };
    let (_, sink) = at_200("S3", 30);
    assert!(share(&sink) < 0.2 && sink.tally.starved > sink.tally.settled / 4, "{} {:?}", share(&sink), sink.tally);
    let (_, fed) = at_200("S1", 30);
    assert!(share(&fed) > 2.0 * share(&sink), "{} {}", share(&fed), share(&sink));
    assert_eq!(at_200("S11", 30).1.tally, market::Tally::default());
}

#[test]
fn demand_changes_when_the_scenario_says_so() {
    let accepted = |tape: &Tape, from: u32, to: u32| {
        let days: Vec<_> = (from..to).map(|day| tape.day(day)).collect();
        let mut all: Vec<u32> =
            days.iter().flat_map(|d| &d.payments).filter(|p| p.choices > 0).map(|p| p.exits[0].reservation).collect();
        all.sort_unstable();
        (f64::from(all[all.len() / 2]), all.len())
    };
    let war = tape_of("S5", 90);
    let (before, during, after) = (accepted(&war, 30, 45).0, accepted(&war, 46, 69).0, accepted(&war, 72, 90).0);
    assert!(during < 0.6 * before && after > 0.65 * before && after < before, "{before} {during} {after}");
    let day = war.network().scenario.shock_day();
    assert_eq!(day, Some(45));
    let regimes = tape_of("S4", 1);
    assert!(regimes.network().seats.iter().all(|seat| seat.phases.len() >= 3));
    assert_eq!(regimes.network().seats.last().map(|seat| seat.phases.last().map(|p| p.rate)), Some(Some(0.0)));
    let whale = tape_of("S10", 3);
    let wanted = |channel: u32| {
        (0..3).map(|d| whale.day(d).payments.iter().filter(|p| p.exits[0].channel == channel).count()).sum::<usize>()
    };
    assert!(wanted(0) > 3 * wanted(1), "{} {}", wanted(0), wanted(1));
    let (first, second) = (accepted(&tape_of("N1", 2), 0, 1).0, law::HIGHEST_PPM * 1_000.0);
    assert!(first > 10.0 * second);
}

#[test]
fn held_slots_stop_a_channel_and_a_new_node_has_never_forwarded() {
    let (tape, market) = at_200("S7", 20);
    assert!((0..20).map(|day| tape.day(day).jams.len()).sum::<usize>() > 10);
    let unjammed = Kind::by_name("S7").unwrap().scenario(1_001);
    let calm = Arc::new(Tape::new(Network::draw(Scenario { jams_per_week: 0.0, ..unjammed })).frozen(20));
    let seats = calm.network().seats.len();
    assert!(play_fixed(&calm, 20, &vec![Ppm(200); seats]).tally.starved < market.tally.starved);
    let virgin = tape_of("S9", 1);
    assert_eq!(virgin.network().seats.len(), 20);
    assert!(virgin.network().seats.iter().all(|seat| seat.local.0 == 0 || seat.local == seat.capacity));
}

/// What moves were worth is told apart from what else a fee would have done only if the same fees give the same market.
#[tokio::test]
async fn the_same_fees_at_the_same_moments_earn_the_same() {
    let (days, start) = (6, Ppm(200));
    for (name, moves) in [("M1", false), ("M6", true)] {
        let tape = tape_of(name, days);
        let simulation = match moves {
            false => Simulation::on(tape.clone(), Layers::default()).await.unwrap(),
            true => Simulation::moving(tape.clone(), Layers::default()).await.unwrap(),
        };
        simulation.node.set_all(start);
        simulation.run_days(days, |_| ()).await.unwrap();
        let asked = simulation.node.asked();
        let again = play_asked(&tape, days, &asked);
        assert!(asked.len() > tape.network().seats.len(), "{name}: hardly any fee was changed");
        let run = Run::of(&simulation.node.market(), days, again.updates.clone());
        let moved = simulation.node.mover().as_ref().is_some_and(|mover| mover.spent() > Msat(0));
        assert_eq!(again == run, !moved, "{name}: moves change what is earned, and nothing else does");
        assert_eq!(moved, moves, "{name}");
    }
}
