//! A small graph by hand, with everything that can be checked on paper; and a tape of it.

use super::gossmap::{PublicChannel, PublicPolicy, packed};
use super::*;
use crate::domain::Ppm;
use crate::sim::play_static;

const fn policy(ppm: u64) -> Option<PublicPolicy> {
    Some(PublicPolicy { base_msat: 0, ppm, cltv_delta: 0, htlc_min_msat: 0, htlc_max_msat: 1 << 50 })
}

fn channel(ends: [u32; 2], ppm: u64) -> PublicChannel {
    PublicChannel { ends, capacity_msat: 1 << 50, directions: [policy(ppm), policy(ppm)] }
}

/// We are 0, with channels to 1, 2, 3. The way from 4 to 5 without us is 4 - 1 - 6 - 3 - 5; with us 6 is left out.
fn graph() -> Gossmap {
    let channels = vec![
        channel([0, 1], 50),
        channel([0, 2], 70),
        channel([0, 3], 90),
        channel([1, 4], 100),
        channel([1, 6], 800),
        channel([2, 5], 300),
        channel([3, 5], 200),
        channel([3, 6], 700),
    ];
    Gossmap { channels, nodes: 7 }
}

fn sketch<'a>(map: &Gossmap, plan: &'a Plan) -> Sketch<'a> {
    Sketch::new(map, 0, doors(map, 0), plan)
}

const PLAN: Plan = Plan { rank: 1, payments: 3_000, days: 3, seed: 7, drained_percent: 100 };

#[test]
fn a_reservation_is_what_the_way_without_us_costs_more() {
    let map = graph();
    let amount = 100_000_000;
    let errand = Errand { start: 4, end: 5, amount, payer: Payer::CoreLightning };
    let mut sketch = sketch(&map, &PLAN);
    let (from, exits) = sketch.through_us(&errand).unwrap();
    // Without us 800 + 700 + 200; to us 50. Rest by peer 3: 200, by peer 2: 300. Nothing is added but 1 msat a road.
    let doors = sketch.doors.clone();
    let peer = |exit: &Exit| doors[exit.channel as usize].peer;
    let found: Vec<_> = exits.iter().map(|exit| (peer(exit), (f64::from(exit.reservation) / 1e3).round())).collect();
    assert_eq!(sketch.doors[from as usize].peer, 1);
    assert_eq!(found, [(3, 1_450.0), (2, 1_350.0)]);
    // Both ways have as many roads that are not the payer's own, so what LND adds to each cancels.
    let (_, same) = sketch.through_us(&Errand { payer: Payer::Lnd, ..errand }).unwrap();
    assert_eq!(same.iter().map(|exit| exit.reservation.div_ceil(1_000)).collect::<Vec<_>>(), [1_450, 1_350]);
    // The way back: out by peer 1 only.
    let (_, back) = sketch.through_us(&Errand { start: 5, end: 4, ..errand }).unwrap();
    assert_eq!(back.iter().map(peer).collect::<Vec<_>>(), [1]);
}

#[test]
fn without_another_way_payers_give_up_at_half_a_percent() {
    let map = graph();
    let mut sketch = sketch(&map, &PLAN);
    sketch.open = sketch.roads.all.iter().map(|road| road.from != 6 && road.to != 6).collect();
    let errand = Errand { start: 4, end: 5, amount: 100_000_000, payer: Payer::Ldk };
    let (_, exits) = sketch.through_us(&errand).unwrap();
    assert!(exits.iter().all(|exit| exit.reservation == 5_000_000) && exits.len() == 2, "{exits:?}");
    // Nothing carries what is larger than every channel.
    assert!(sketch.through_us(&Errand { amount: 1 << 51, ..errand }).is_none());
    sketch.open = vec![false; sketch.open.len()];
    assert!(sketch.through_us(&errand).is_none());
    assert_eq!(sketch.cut_off, 1);
}

#[test]
fn where_we_save_nothing_nobody_comes() {
    let mut map = graph();
    map.channels[4].directions = [policy(0); 2];
    map.channels[7].directions = [policy(0); 2];
    let errand = Errand { start: 4, end: 5, amount: 100_000_000, payer: Payer::CoreLightning };
    assert!(sketch(&map, &PLAN).through_us(&errand).is_none());
}

#[test]
fn ranks_go_by_open_channels() {
    let mut map = graph();
    assert_eq!([1, 2, 3, 4].map(|rank| node_of_rank(&map, rank).unwrap()), [0, 1, 3, 2]);
    map.channels[1].directions[0] = None;
    assert_eq!([1, 2, 3].map(|rank| node_of_rank(&map, rank).unwrap()), [1, 3, 0]);
    assert!(node_of_rank(&map, 0).is_err());
    assert!(node_of_rank(&map, 8).unwrap_err().to_string().contains("1 to 7"));
}

#[test]
fn a_tape_of_a_file_is_played_and_written_and_read() {
    let map = Gossmap::read(&packed(&graph())[..]).unwrap();
    let mut told = Vec::new();
    let drawn = draw(&map, &PLAN, |done| told.push(done)).unwrap();
    assert_eq!(told, [400, 800, 1_200, 1_600, 2_000, 2_400, 2_800, 3_000]);
    assert_eq!(drawn.payments, draw(&map, &PLAN, |_| ()).unwrap().payments);
    assert_ne!(drawn.payments, draw(&map, &Plan { seed: 8, ..PLAN }, |_| ()).unwrap().payments);
    let survey = &drawn.survey;
    assert!(survey.wanted > 100 && survey.wanted + survey.cut_off < survey.drawn, "{survey:?}");
    assert!(survey.by_count.windows(2).all(|pair| pair[0] <= pair[1]) && survey.by_count[0] > 0.0, "{survey:?}");
    assert_eq!(drawn.ground.channels.iter().map(|place| place.outward).sum::<u32>(), survey.wanted);

    let mut file = Vec::new();
    write(&drawn, &mut file).unwrap();
    let tapes = [drawn.tape(), read(&file[..]).unwrap()].map(Arc::new);
    assert_eq!(tapes[0].network(), tapes[1].network());
    let days: Vec<_> = (0..3).map(|day| tapes[0].day(day)).collect();
    assert!((0..3).all(|day| tapes[1].day(day) == days[day as usize]));
    assert_eq!(days.iter().map(|day| day.payments.len()).sum::<usize>(), drawn.payments.len());
    assert_eq!(tapes[0].day(3).payments.len(), 0, "the tape ends");
    let earned = tapes.map(|tape| play_static(&tape, 3, Ppm(100)).into_iter().sum::<Msat>());
    assert!(earned[0] == earned[1] && earned[0].0 > 0);
}

#[test]
fn a_broken_tape_is_refused() {
    let drawn = draw(&graph(), &Plan { payments: 400, ..PLAN }, |_| ()).unwrap();
    let mut file = Vec::new();
    write(&drawn, &mut file).unwrap();
    let text = String::from_utf8(file).unwrap();
    for (from, to, error) in [
        ("tape 1", "tape 2", "is not"),
        ("\"from\":", "\"from\":9", "line 2: a channel that we do not have"),
        ("\"exits\":[[", "\"exits\":[],\"x\":[[", "line 2: 0 ways out"),
    ] {
        let broken = text.replacen(from, to, 1);
        assert!(format!("{:#}", read(broken.as_bytes()).unwrap_err()).contains(error), "{error}");
    }
}

#[test]
fn parallel_channels_have_one_peer() {
    let mut map = graph();
    map.channels.push(channel([0, 1], 20));
    let ground = draw(&map, &Plan { payments: 400, ..PLAN }, |_| ()).unwrap().ground;
    let network = ground.network();
    assert_eq!((network.seats.len(), network.peers.len()), (4, 3));
    assert!(network.seats.iter().zip(&ground.channels).all(|(seat, place)| seat.peer == place.peer));
}

/// The cheapest cost by trying every road again and again: slow, and written without the search that it checks.
fn by_hand(roads: &[Road], errand: &Errand) -> u64 {
    let mut costs = vec![NEVER; 40];
    costs[errand.start as usize] = 0;
    for _ in 0..40 {
        for road in roads.iter().filter(|road| road.carries(errand.amount)) {
            let cost = if road.from == errand.start { 0 } else { road.cost(errand.amount, errand.payer) };
            let sum = costs[road.from as usize].saturating_add(cost);
            costs[road.to as usize] = costs[road.to as usize].min(sum);
        }
    }
    costs[errand.end as usize]
}

#[test]
fn below_the_reservation_the_cheapest_way_leads_through_us_and_above_it_does_not() {
    let mut rng = stream(5, Stream::Network, 0);
    let mut checked = 0;
    for _ in 0..40 {
        let mut channels = Vec::new();
        for _ in 0..70 {
            let (a, b) = (rng.random_range(0..39), rng.random_range(0..40));
            let ends = [a.min(b), a.max(b)];
            let directions = [0, 1].map(|_| policy(rng.random_range(0..2_000)));
            channels.push(PublicChannel { ends, capacity_msat: rng.random_range(1..9) * 1_000_000_000, directions });
        }
        let map = Gossmap { channels: channels.into_iter().filter(|c| c.ends[0] != c.ends[1]).collect(), nodes: 40 };
        let mut sketch = sketch(&map, &PLAN);
        for payer in [Payer::Lnd, Payer::Ldk, Payer::CoreLightning] {
            let amount = 300_000_000;
            let errand = Errand { start: rng.random_range(1..40), end: rng.random_range(1..40), amount, payer };
            let found = if errand.start == errand.end { None } else { sketch.through_us(&errand) };
            let without = by_hand(&sketch.roads.all, &errand);
            let Some((_, exits)) = found.filter(|_| without != NEVER) else { continue };
            for exit in exits {
                let door = sketch.doors[exit.channel as usize];
                let worth = u64::from(exit.reservation) * amount / 1_000_000_000;
                let costs = [worth.saturating_sub(20), worth + 20].map(|base_msat| {
                    let policy = PublicPolicy { base_msat, ppm: 0, ..door.outward.policy };
                    let ours = sketch.doors.iter().map(|door| door.inward).chain([Road { policy, ..door.outward }]);
                    by_hand(&sketch.roads.all.iter().copied().chain(ours).collect::<Vec<_>>(), &errand)
                });
                assert!(costs[0] < without && costs[1] == without, "{exit:?} {costs:?} {without}");
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked}");
}
