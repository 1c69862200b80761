//! The market: plays a tape against the fees in force. Every payment chooses by price, moves the balances of two channels or fails,
//! and is entered in the node's list of forwards. Amounts are exact; all chance is in the tape.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::book::{Book, Entry, Outgoing};
use super::channel::{GRACE_SECS, Price, SLOTS, SimChannel, Stage};
use super::law::Law;
use super::mempool::Mempool;
use super::network::Network;
use super::sight::Sight;
use super::slots::Slots;
use super::tape::{Day, ELSEWHERE, Payment, Tape};
use crate::domain::forward::{FEE_INSUFFICIENT, TEMPORARY_CHANNEL_FAILURE};
use crate::domain::{Feerate, ForwardStatus, Msat, PeerId, Ppm, Scid, Time};

/// Where payments from elsewhere say that they came in.
const STRANGE_SCID: Scid = Scid(1 << 40 | 1 << 16);
/// How often one payment tries its luck with us.
const MOST_TRIES: u8 = 4;

/// What happened, for those who are to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    Forward(Entry),
    Peer { peer: PeerId, online: bool },
    Stage { channel: usize, old: Stage, new: Stage },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub id: PeerId,
    pub online: bool,
    /// Since when it is online or offline.
    pub since: Time,
}

/// A payment between offer and outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    pub entrance: u32,
    pub exit: u32,
    pub in_htlc: u64,
    pub out_htlc: u64,
    pub in_msat: u64,
    pub out_msat: u64,
    created: u64,
    doomed: bool,
}

/// Everything that was wanted of us and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub wanted: u64,
    pub settled: u64,
    /// Failed further down.
    pub failed: u64,
    /// Attempts that failed for lack of our balance, or because a peer was away.
    pub starved: u64,
    /// Attempts with an old price.
    pub underpaid: u64,
    /// Msat that came from elsewhere and stayed, and that left by forwards which had come from elsewhere.
    pub gained: u64,
    pub lost: u64,
}

impl Tally {
    #[must_use]
    pub(super) fn plus(&self, other: &Tally) -> Tally {
        Tally {
            wanted: self.wanted + other.wanted,
            settled: self.settled + other.settled,
            failed: self.failed + other.failed,
            starved: self.starved + other.starved,
            underpaid: self.underpaid + other.underpaid,
            gained: self.gained + other.gained,
            lost: self.lost + other.lost,
        }
    }
}

/// The way that a payment wants to take through us.
#[derive(Clone, Copy, Debug)]
struct Way {
    entrance: u32,
    exit: u32,
    in_msat: u64,
    out_msat: u64,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    payment: Payment,
    /// One bit for each exit that failed.
    tried: u8,
    tries: u8,
    /// An error told the payer our prices.
    informed: bool,
    /// The exit that has just refused an old price.
    refused: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Resolve(u32),
    Retry(u32),
    Peer(u32, bool),
    Jam(u32, bool),
}

#[derive(Clone, Debug)]
pub struct Market {
    tape: Arc<Tape>,
    now: Time,
    day: Arc<Day>,
    day_number: u32,
    /// The next payment of `day`.
    next: usize,
    pub channels: Vec<SimChannel>,
    pub peers: Vec<Peer>,
    agenda: BinaryHeap<Reverse<(Time, u64, Due)>>,
    appointments: u64,
    flights: Slots<Flight>,
    retries: Slots<Attempt>,
    book: Option<Book>,
    news: Option<Vec<News>>,
    pub tally: Tally,
    sight: Sight,
    /// By day and channel.
    earned: Vec<u64>,
    /// What is asked instead of the channels' prices, if an oracle plays; empty otherwise.
    laws: Vec<Law>,
    /// Payments that came by none of our channels, so far.
    strangers: u64,
}

impl Market {
    /// At the start of the tape. Keeps no list of forwards and tells nobody, unless asked.
    pub fn new(tape: Arc<Tape>) -> Market {
        let network: &Network = tape.network();
        let start = network.scenario.start;
        let channels = network.seats.iter().map(|s| SimChannel::new(s, network.peers[s.peer as usize], start));
        let mut market = Market {
            channels: channels.collect(),
            peers: network.peers.iter().map(|id| Peer { id: *id, online: true, since: start }).collect(),
            now: start,
            day: Arc::default(),
            day_number: 0,
            next: 0,
            agenda: BinaryHeap::new(),
            appointments: 0,
            flights: Slots::new(),
            retries: Slots::new(),
            book: None,
            news: None,
            tally: Tally::default(),
            sight: Sight::new(start, network.seats.len()),
            earned: Vec::new(),
            laws: Vec::new(),
            strangers: 0,
            tape,
        };
        market.open_day(0);
        market
    }

    #[must_use]
    pub fn with_book(mut self) -> Market {
        self.book = Some(Book::new());
        self
    }

    /// From now on [`Market::news`] has something to tell.
    pub fn tell_news(&mut self) {
        self.news = Some(Vec::new());
    }

    /// What happened since the last call.
    pub fn news(&mut self) -> Vec<News> {
        self.news.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub fn now(&self) -> Time {
        self.now
    }

    /// Blocks come every ten minutes.
    pub fn height(&self) -> u32 {
        let blocks = (self.now.0 - self.network().scenario.start.0) / 600_000;
        super::network::START_HEIGHT.saturating_add(u32::try_from(blocks).unwrap_or(0))
    }

    pub fn network(&self) -> &Arc<Network> {
        self.tape.network()
    }

    pub(super) fn tape(&self) -> &Arc<Tape> {
        &self.tape
    }

    pub fn book(&self) -> Option<&Book> {
        self.book.as_ref()
    }

    pub fn book_mut(&mut self) -> Option<&mut Book> {
        self.book.as_mut()
    }

    /// The price of block space now.
    pub fn feerate(&self) -> Feerate {
        Mempool::of(&self.network().scenario).at(self.now)
    }

    /// The name of the way in of a flight; that of payments from elsewhere is no channel of ours.
    pub fn scid_of(&self, entrance: u32) -> Scid {
        self.channels.get(entrance as usize).map_or(STRANGE_SCID, |channel| channel.scid)
    }

    /// What the node knows of its own forwards.
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    pub fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter()
    }

    pub fn is_online(&self, channel: &SimChannel) -> bool {
        self.peers[channel.seat.peer as usize].online
    }

    /// Fees earned by channel on that day of the tape.
    pub fn earned_on(&self, day: u32) -> impl Iterator<Item = Msat> {
        let width = self.channels.len();
        let start = day as usize * width;
        (start..start + width).map(|i| Msat(self.earned.get(i).copied().unwrap_or(0)))
    }

    /// The day of the tape that is played.
    pub fn day_number(&self) -> u32 {
        self.day_number
    }

    pub fn set_price(&mut self, channel: usize, price: Price, grace_secs: Option<i64>) {
        self.channels[channel].set_price(price, self.now, grace_secs.unwrap_or(GRACE_SECS));
    }

    /// From now on these laws are what is asked, one for each channel.
    pub(super) fn obey(&mut self, laws: Vec<Law>) {
        self.laws = laws;
    }

    /// The price of a channel for somebody whose news is from that time.
    #[inline]
    fn price_at(&self, place: u32, heard: Time) -> Price {
        let channel = &self.channels[place as usize];
        match self.laws.get(place as usize) {
            None => *channel.price_at(heard),
            Some(law) => {
                let share = channel.to_us() as f64 / channel.capacity.max(1) as f64;
                Price { base: 0, ppm: law.at(self.now, share), ..channel.price }
            }
        }
    }

    /// All channels at one rate, without base fee, as if it had always been so.
    pub fn set_all(&mut self, ppm: Ppm) {
        for channel in &mut self.channels {
            channel.begin_with(Price { base: 0, ppm: ppm.0, ..channel.price });
        }
    }

    /// Plays everything up to that time, that moment included.
    pub fn advance(&mut self, to: Time) {
        loop {
            let payment = self.day.payments.get(self.next).map(|payment| payment.at);
            let arrival = payment.unwrap_or_else(|| self.tape.start_of(self.day_number + 1));
            let due = self.agenda.peek().map(|Reverse((at, ..))| *at);
            if due.is_some_and(|at| at <= arrival && at <= to) {
                self.keep_appointment();
            } else if arrival > to {
                break;
            } else {
                self.now = self.now.max(arrival);
                self.arrive(payment.is_some());
            }
        }
        self.now = self.now.max(to);
    }

    fn arrive(&mut self, payment: bool) {
        if !payment {
            return self.open_day(self.day_number + 1);
        }
        let payment = self.day.payments[self.next];
        self.next += 1;
        if payment.choices == 0 {
            return self.refill(&payment);
        }
        self.tally.wanted += 1;
        self.attempt(Attempt { payment, tried: 0, tries: 0, informed: false, refused: None });
    }

    fn open_day(&mut self, number: u32) {
        self.day = self.tape.day(number);
        self.day_number = number;
        self.next = 0;
        self.earned.resize(self.channels.len() * (number as usize + 1), 0);
        let events = self.day.clone();
        for outage in &events.outages {
            self.schedule(outage.from, Due::Peer(outage.peer, false));
            self.schedule(outage.until, Due::Peer(outage.peer, true));
        }
        for jam in &events.jams {
            self.schedule(jam.from, Due::Jam(jam.channel, true));
            self.schedule(jam.until, Due::Jam(jam.channel, false));
        }
    }

    fn schedule(&mut self, at: Time, due: Due) {
        self.appointments += 1;
        self.agenda.push(Reverse((at, self.appointments, due)));
    }

    fn keep_appointment(&mut self) {
        let Some(Reverse((at, _, due))) = self.agenda.pop() else { return };
        self.now = self.now.max(at);
        match due {
            Due::Resolve(slot) => {
                if let Some(flight) = self.flights.take(slot) {
                    self.land(flight);
                }
            }
            Due::Retry(slot) => {
                if let Some(attempt) = self.retries.take(slot) {
                    self.attempt(attempt);
                }
            }
            Due::Peer(peer, online) => self.set_online(peer, online),
            Due::Jam(channel, jammed) => self.channels[channel as usize].jammed = jammed,
        }
    }

    pub fn set_online(&mut self, peer: u32, online: bool) {
        let state = &mut self.peers[peer as usize];
        if state.online != online {
            *state = Peer { online, since: self.now, ..*state };
            let peer = state.id;
            self.tell(|| News::Peer { peer, online });
        }
    }

    pub fn set_stage(&mut self, channel: usize, new: Stage) {
        let old = std::mem::replace(&mut self.channels[channel].stage, new);
        if old != new {
            self.tell(|| News::Stage { channel, old, new });
        }
    }

    fn tell(&mut self, news: impl FnOnce() -> News) {
        if let Some(told) = &mut self.news {
            told.push(news());
        }
    }

    /// Money that comes in and stays, or leaves and is no forward; what there is no room for goes elsewhere.
    fn refill(&mut self, payment: &Payment) {
        let peer = self.channels[payment.from as usize].seat.peer as usize;
        let channel = &mut self.channels[payment.from as usize];
        if payment.doomed {
            let gone = payment.amount.min(channel.spendable());
            channel.local -= gone;
            channel.remote += gone;
            return;
        }
        if channel.receivable() >= payment.amount && channel.routes() && self.peers[peer].online {
            channel.remote -= payment.amount;
            channel.take_in(payment.amount);
            self.tally.gained += payment.amount;
        }
    }

    fn attempt(&mut self, mut attempt: Attempt) {
        let payment = attempt.payment;
        let heard = if attempt.informed { self.now } else { Time(self.now.0 - i64::from(payment.gossip_ms)) };
        let is_patient = attempt.refused.is_none() || self.is_patient(&payment);
        let chosen = self.choose(&attempt, heard).filter(|_| is_patient);
        if let Some(exit) = attempt.refused.take() {
            let came_back = chosen.is_some_and(|(choice, _)| payment.exits[choice].channel == exit);
            self.sight.note_refused(exit, self.now, came_back);
        }
        let Some((choice, fee)) = chosen else { return };
        let exit = payment.exits[choice].channel;
        // Where the way in is closed, we never hear of the payment.
        let Some(entrance) = self.entrance(payment.from, payment.amount + fee) else { return };
        attempt.tries += 1;
        let way = Way { entrance, exit, in_msat: payment.amount + fee, out_msat: payment.amount };
        match self.verdict(exit, payment.amount, fee) {
            Ok(()) => self.offer(&payment, way),
            Err(failcode) => {
                self.refuse(way, failcode);
                self.retry(attempt, choice, failcode);
            }
        }
    }

    /// Does the payer look at the new price who came with an old one? Milliseconds under way are as good as a lot.
    fn is_patient(&self, payment: &Payment) -> bool {
        f64::from(payment.hold_ms % 100) < 100.0 * self.network().scenario.patience
    }

    /// The exit that leaves the payer most, by the prices that the payer has heard of. Between equals the node takes the one
    /// with more to spend.
    fn choose(&self, attempt: &Attempt, heard: Time) -> Option<(usize, u64)> {
        let amount = attempt.payment.amount;
        let exits = &attempt.payment.exits[..usize::from(attempt.payment.choices)];
        let mut best: Option<(u64, u64, usize, u64)> = None;
        for (choice, exit) in exits.iter().enumerate() {
            let channel = &self.channels[exit.channel as usize];
            let peer = &self.peers[channel.seat.peer as usize];
            let known_away = !peer.online && peer.since <= heard;
            if attempt.tried & (1 << choice) != 0 || !channel.routes() || known_away {
                continue;
            }
            let price = self.price_at(exit.channel, heard);
            let fee = price.fee(amount);
            let left = worth(amount, exit.reservation).saturating_sub(fee);
            if left == 0 || amount > price.htlc_max || amount < price.htlc_min {
                continue;
            }
            let rank = (left, channel.spendable());
            if best.is_none_or(|(most, spendable, ..)| rank > (most, spendable)) {
                best = Some((rank.0, rank.1, choice, fee));
            }
        }
        best.map(|(_, _, choice, fee)| (choice, fee))
    }

    /// The channel by which a payment comes in, or another with the same peer that has room for it.
    fn entrance(&self, wanted: u32, in_msat: u64) -> Option<u32> {
        let has_room =
            |channel: &SimChannel| channel.routes() && channel.receivable() >= in_msat && channel.htlcs_in < SLOTS;
        if wanted == ELSEWHERE {
            return Some(wanted);
        }
        let channel = &self.channels[wanted as usize];
        if !self.is_online(channel) {
            return None;
        }
        if has_room(channel) {
            return Some(wanted);
        }
        let same_peer = |other: &SimChannel| other.seat.peer == channel.seat.peer && has_room(other);
        (0u32..).zip(&self.channels).find(|(_, other)| same_peer(other)).map(|(place, _)| place)
    }

    fn verdict(&self, exit: u32, amount: u64, fee: u64) -> Result<(), u32> {
        let channel = &self.channels[exit as usize];
        if self.laws.is_empty() && !channel.accepts(amount, fee, self.now) {
            return Err(FEE_INSUFFICIENT);
        }
        let carried = channel.spendable() >= amount && channel.has_slot() && self.is_online(channel);
        if carried { Ok(()) } else { Err(TEMPORARY_CHANNEL_FAILURE) }
    }

    fn offer(&mut self, payment: &Payment, way: Way) {
        let Way { entrance, exit, in_msat, out_msat } = way;
        let in_htlc = self.note_incoming(entrance, in_msat);
        if let Some(source) = self.channels.get_mut(entrance as usize) {
            source.remote -= in_msat;
            source.flying_in += in_msat;
            source.htlcs_in += 1;
        }
        let target = &mut self.channels[exit as usize];
        target.local -= out_msat;
        target.flying_out += out_msat;
        target.htlcs_out += 1;
        let out_htlc = target.note_outgoing(out_msat);
        let created = self.enter(way, in_htlc, Ok(Outgoing { htlc: out_htlc, msat: out_msat }));
        let doomed = payment.doomed;
        let flight = Flight { entrance, exit, in_htlc, out_htlc, in_msat, out_msat, created, doomed };
        let slot = self.flights.put(flight);
        self.schedule(Time(self.now.0 + i64::from(payment.hold_ms)), Due::Resolve(slot));
    }

    fn note_incoming(&mut self, entrance: u32, msat: u64) -> u64 {
        if let Some(source) = self.channels.get_mut(entrance as usize) {
            return source.note_incoming(msat);
        }
        self.strangers += 1;
        self.strangers
    }

    fn refuse(&mut self, way: Way, failcode: u32) {
        match failcode {
            FEE_INSUFFICIENT => self.tally.underpaid += 1,
            _ => {
                self.tally.starved += 1;
                self.channels[way.exit as usize].starved += 1;
            }
        }
        let in_htlc = self.note_incoming(way.entrance, way.in_msat);
        self.enter(way, in_htlc, Err(failcode));
    }

    fn retry(&mut self, mut attempt: Attempt, choice: usize, failcode: u32) {
        let payment = attempt.payment;
        let pause = if failcode == FEE_INSUFFICIENT {
            attempt.informed = true;
            attempt.refused = Some(payment.exits[choice].channel);
            2_000
        } else {
            attempt.tried |= 1 << choice;
            1_000 + i64::from(payment.hold_ms % 58_000)
        };
        if attempt.tries < MOST_TRIES && (payment.stubborn || failcode == FEE_INSUFFICIENT) {
            let slot = self.retries.put(attempt);
            self.schedule(Time(self.now.0 + pause), Due::Retry(slot));
        }
    }

    fn enter(&mut self, way: Way, in_htlc: u64, out: Result<Outgoing, u32>) -> u64 {
        if self.book.is_none() {
            return 0;
        }
        let entry = Entry {
            created: 0,
            updated: 0,
            in_channel: self.scid_of(way.entrance),
            in_htlc,
            out_channel: self.channels[way.exit as usize].scid,
            out: out.ok(),
            in_msat: way.in_msat,
            status: if out.is_ok() { ForwardStatus::Offered } else { ForwardStatus::LocalFailed },
            failcode: out.err().unwrap_or(0),
            received: self.now,
            resolved: None,
        };
        let Some(book) = &mut self.book else { return 0 };
        let created = book.enter(entry);
        if let (Some(news), Some(entry)) = (&mut self.news, book.get(created)) {
            news.push(News::Forward(entry.clone()));
        }
        created
    }

    fn land(&mut self, flight: Flight) {
        let target = &mut self.channels[flight.exit as usize];
        target.flying_out -= flight.out_msat;
        target.htlcs_out -= 1;
        let fee = flight.in_msat - flight.out_msat;
        if flight.doomed {
            target.local += flight.out_msat;
            self.tally.failed += 1;
        } else {
            target.pay_out(flight.out_msat);
            target.earned += fee;
            self.tally.settled += 1;
            self.sight.note(self.now, (flight.entrance, flight.exit), flight.out_msat);
            let place = self.day_number as usize * self.channels.len() + flight.exit as usize;
            self.earned[place] += fee;
        }
        if let Some(source) = self.channels.get_mut(flight.entrance as usize) {
            source.flying_in -= flight.in_msat;
            source.htlcs_in -= 1;
            if flight.doomed { source.remote += flight.in_msat } else { source.take_in(flight.in_msat) }
        } else if !flight.doomed {
            self.tally.lost += flight.out_msat;
        }
        let status = if flight.doomed { ForwardStatus::Failed } else { ForwardStatus::Settled };
        let entry = self.book.as_mut().and_then(|book| book.resolve(flight.created, status, self.now));
        if let (Some(news), Some(entry)) = (&mut self.news, entry) {
            news.push(News::Forward(entry.clone()));
        }
    }
}

/// What the way through us is worth to a payer, in msat, rounded down.
#[inline]
fn worth(amount: u64, reservation: u32) -> u64 {
    let worth = u128::from(amount) * u128::from(reservation) / 1_000_000_000;
    u64::try_from(worth).unwrap_or(u64::MAX)
}

/// The same payments against one fixed fee: what each day earns.
pub fn play_static(tape: &Arc<Tape>, days: u32, ppm: Ppm) -> Vec<Msat> {
    let mut market = Market::new(tape.clone());
    market.set_all(ppm);
    market.advance(Time(tape.start_of(days).0 - 1));
    (0..days).map(|day| market.earned_on(day).sum()).collect()
}
