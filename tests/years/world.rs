//! Years of a node's life, drawn by seed: channels are opened, forward, are refilled and spliced, end in all ways that there are, and
//! what their transactions cost is corrected late. Beside the records, which have the shapes that a real node was seen to answer with,
//! it keeps what each of them earned and paid, as one number each.

use std::collections::BTreeMap;

use cl_revenue_ops::accounts::CostKind;
use cl_revenue_ops::domain::{
    ChannelId, CloseType, Forward, ForwardKey, ForwardStatus, Msat, PeerId, Scid, Side, Time, TxId,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

pub(crate) const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
const PEERS: u8 = 9;
/// So old a channel is before it ends, and so long after its last splice: longer than the plugin is ever off.
const OLD: i64 = 60 * DAY;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    Closing,
    Forgotten,
}

pub(crate) struct Seat {
    pub id: ChannelId,
    pub peer: PeerId,
    pub opener: Side,
    pub capacity: u64,
    pub local: u64,
    pub stage: Stage,
    /// All that it ever had, the present one last.
    pub scids: Vec<Scid>,
    pub opened: Time,
    changed: Time,
    pub end: Option<CloseType>,
    funding: TxId,
    /// The bookkeeper's account.
    pub events: Vec<Value>,
}

/// What one transaction cost in one channel, as it is known now.
pub(crate) struct Fee {
    pub seat: usize,
    pub kind: CostKind,
    pub txid: TxId,
    pub msat: u64,
    pub at: Time,
}

/// What will happen.
enum Plan {
    Open,
    Forward,
    /// A payment to ourselves, or to others.
    Payment(bool),
    Splice,
    Close,
    Correct {
        fee: usize,
        to: u64,
        seen: bool,
    },
    Sweep(usize),
    Forget(usize),
}

pub(crate) struct World {
    dice: ChaCha8Rng,
    pub now: Time,
    pub seats: Vec<Seat>,
    pub forwards: Vec<Forward>,
    /// Places of forwards in the order in which they were resolved.
    pub resolved: Vec<usize>,
    pub chain_moves: Vec<Value>,
    pub channel_moves: Vec<Value>,
    pub fees: Vec<Fee>,
    /// Payments to ourselves: the channel that they left by, and what others got.
    pub refills: Vec<(usize, u64, Time)>,
    plans: BTreeMap<(Time, u64), Plan>,
    /// Hands out what must be there once only.
    serial: u64,
    planned_to: Time,
}

impl World {
    pub(crate) fn new(seed: u64, start: Time) -> World {
        let mut world = World {
            dice: ChaCha8Rng::seed_from_u64(seed),
            now: start,
            seats: Vec::new(),
            forwards: Vec::new(),
            resolved: Vec::new(),
            chain_moves: Vec::new(),
            channel_moves: Vec::new(),
            fees: Vec::new(),
            refills: Vec::new(),
            plans: BTreeMap::new(),
            serial: 0,
            planned_to: start,
        };
        (0..5).for_each(|n| world.plan(start.plus_secs(60 * n), Plan::Open));
        world
    }

    /// A channel ends then.
    pub(crate) fn end_at(&mut self, at: Time) {
        self.plan(at, Plan::Close);
    }

    /// Everything happens up to then, in its order.
    pub(crate) fn advance(&mut self, to: Time) {
        while self.planned_to < to {
            self.draw_day();
        }
        while let Some(entry) = self.plans.first_entry().filter(|entry| entry.key().0 <= to) {
            let ((at, _), plan) = entry.remove_entry();
            self.now = at;
            self.happen(plan);
        }
        self.now = to;
    }

    fn draw_day(&mut self) {
        let day = self.planned_to;
        self.planned_to = day.plus_secs(DAY);
        let open = self.open(|_| true).len();
        let some = |world: &mut World, most: u32, plan: fn(&mut World) -> Plan| {
            for _ in 0..world.dice.random_range(0..=most) {
                let (at, plan) = (day.plus_secs(world.dice.random_range(0..DAY)), plan(world));
                world.plan(at, plan);
            }
        };
        some(self, 24, |_| Plan::Forward);
        some(self, 4, |world| Plan::Payment(world.dice.random_bool(0.6)));
        if self.dice.random_bool(if open < 6 { 0.2 } else { 0.03 }) {
            some(self, 1, |_| Plan::Open);
        }
        if self.dice.random_bool(0.06) {
            some(self, 1, |_| Plan::Splice);
        }
        if self.dice.random_bool(0.03) {
            // Late in the evening, often: what is corrected soon may be corrected on the next day then.
            let secs = if self.dice.random_bool(0.7) { self.dice.random_range(DAY - HOUR..DAY) } else { DAY / 2 };
            self.plan(day.plus_secs(secs), Plan::Close);
        }
    }

    fn plan(&mut self, at: Time, plan: Plan) {
        let serial = self.next();
        self.plans.insert((at, serial), plan);
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn txid(&mut self) -> TxId {
        let mut bytes = [0x7e; 32];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        TxId(bytes)
    }

    fn open(&self, like: impl Fn(&Seat) -> bool) -> Vec<usize> {
        let open = |place: &usize| self.seats[*place].stage == Stage::Open && like(&self.seats[*place]);
        (0..self.seats.len()).filter(open).collect()
    }

    fn one_of(&mut self, places: &[usize]) -> Option<usize> {
        if places.is_empty() { None } else { Some(places[self.dice.random_range(0..places.len())]) }
    }

    fn happen(&mut self, plan: Plan) {
        match plan {
            Plan::Open => self.opens(),
            Plan::Forward => self.forwards(),
            Plan::Payment(to_us) => self.pays(to_us),
            Plan::Splice => self.splices(),
            Plan::Close => self.closes(),
            Plan::Correct { fee, to, seen } => self.corrects(fee, to, seen),
            Plan::Sweep(seat) => self.sweeps(seat),
            Plan::Forget(seat) => self.seats[seat].stage = Stage::Forgotten,
        }
    }

    fn opens(&mut self) {
        let (funding, n) = (self.txid(), u64::try_from(self.seats.len()).unwrap());
        let opener = if self.dice.random_bool(0.6) { Side::Local } else { Side::Remote };
        let capacity = self.dice.random_range(1_000..20_000_u64) * 1_000_000;
        let local = if opener == Side::Local { capacity } else { 0 };
        let mut peer = [self.dice.random_range(0..PEERS); 33];
        peer[0] = 2;
        let peer = PeerId(peer);
        let scid = Scid::new(700_000 + u32::try_from(self.next()).unwrap(), 1, 0).unwrap();
        let place = self.seats.len();
        let mut id = [0xc4; 32];
        id[24..].copy_from_slice(&(n << 1 | 1).to_be_bytes());
        let (opened, changed) = (self.now, self.now);
        let (stage, end, scids, events) = (Stage::Open, None, vec![scid], Vec::new());
        let id = ChannelId(id);
        self.seats.push(Seat {
            id,
            peer,
            opener,
            capacity,
            local,
            stage,
            scids,
            opened,
            changed,
            end,
            funding,
            events,
        });
        self.coin(place, "channel_open", (local, 0), json!({ "utxo": format!("{funding}:0"), "peer_id": peer }));
        self.event(place, "channel_open", (local, 0), json!({ "outpoint": format!("{funding}:0") }));
        if opener == Side::Local {
            let msat = self.dice.random_range(150_000..2_000_000);
            self.wallet("withdrawal", place, false);
            self.fee(place, CostKind::Opening, (funding, msat), 0);
        }
    }

    /// A row of the record of coins.
    fn coin(&mut self, place: usize, tag: &str, (credit, debit): (u64, u64), more: Value) {
        let mut row = json!({
            "created_index": self.chain_moves.len() + 1, "account_id": self.seats[place].id, "credit_msat": credit,
            "debit_msat": debit, "timestamp": self.now.secs(), "primary_tag": tag, "extra_tags": [],
            "output_msat": self.seats[place].capacity, "blockheight": 700_000,
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.chain_moves.push(row);
    }

    /// The same of the wallet, by a channel's doing or not.
    fn wallet(&mut self, tag: &str, place: usize, of_channel: bool) {
        let mut more = json!({ "account_id": "wallet" });
        if of_channel {
            more["originating_account"] = json!(self.seats[place].id);
        }
        self.coin(place, tag, (1_000_000, 0), more);
    }

    fn event(&mut self, place: usize, tag: &str, (credit, debit): (u64, u64), more: Value) {
        let kind = match tag {
            "onchain_fee" => "onchain_fee",
            "invoice" => "channel",
            _ => "chain",
        };
        let mut row = json!({
            "account": self.seats[place].id, "type": kind, "tag": tag, "credit_msat": credit, "debit_msat": debit,
            "currency": "bcrt", "timestamp": self.now.secs(),
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.seats[place].events.push(row);
    }

    /// A transaction's fee; `over`: so much is in both of its rows.
    fn fee(&mut self, place: usize, kind: CostKind, (txid, msat): (TxId, u64), over: u64) {
        self.fees.push(Fee { seat: place, kind, txid, msat, at: Time::from_secs(self.now.secs()) });
        self.event(place, "onchain_fee", (over + msat, 0), json!({ "txid": txid.to_string() }));
        if over > 0 {
            self.event(place, "onchain_fee", (0, over), json!({ "txid": txid.to_string() }));
        }
    }

    fn forwards(&mut self) {
        let open = self.open(|_| true);
        let (Some(from), Some(to)) = (self.one_of(&open), self.one_of(&open)) else { return };
        let msat = self.dice.random_range(1_000..300_000_000);
        let fee = self.dice.random_range(0..msat / 500 + 2_000);
        let fails = self.dice.random_bool(0.2);
        let place = self.forwards.len();
        let (in_channel, out_channel) = (self.seats[from].scids.last().copied(), self.seats[to].scids.last().copied());
        self.resolved.push(place);
        self.forwards.push(Forward {
            key: ForwardKey { in_channel: in_channel.unwrap(), in_htlc_id: u64::try_from(place).unwrap() },
            out_channel,
            in_msat: Msat(msat + fee),
            out_msat: Some(Msat(msat)),
            fee: Some(Msat(fee)),
            status: if fails { ForwardStatus::Failed } else { ForwardStatus::Settled },
            failcode: None,
            received: self.now.plus_secs(-2),
            resolved: Some(self.now),
            created_index: Some(u64::try_from(place).unwrap() + 1),
            updated_index: Some(u64::try_from(self.resolved.len()).unwrap()),
        });
    }

    /// In one or two parts; what comes back comes by another channel.
    fn pays(&mut self, to_us: bool) {
        let open = self.open(|_| true);
        let hash = self.txid().to_string();
        let Some(back) = self.one_of(&open) else { return };
        for part in 0..self.dice.random_range(1..=2_u64) {
            let Some(place) = self.one_of(&open).filter(|place| *place != back) else { return };
            let (msat, fee) = (self.dice.random_range(1_000_000..90_000_000), self.dice.random_range(1..90_000));
            self.payment(place, (&hash, part), (0, msat + fee), (fee, to_us));
            if to_us {
                self.payment(back, (&hash, part), (msat, 0), (0, true));
                self.refills.push((place, fee, Time::from_secs(self.now.secs())));
            }
        }
    }

    fn payment(
        &mut self,
        place: usize,
        (hash, part): (&str, u64),
        (credit, debit): (u64, u64),
        (fee, to_us): (u64, bool),
    ) {
        self.channel_moves.push(json!({
            "created_index": self.channel_moves.len() + 1, "account_id": self.seats[place].id, "credit_msat": credit,
            "debit_msat": debit, "timestamp": self.now.secs(), "primary_tag": "invoice", "payment_hash": hash,
            "part_id": part, "fees_msat": fee,
        }));
        let more = json!({ "payment_id": hash, "part_id": part, "fees_msat": fee, "is_rebalance": to_us });
        self.event(place, "invoice", (credit, debit), more);
    }

    fn splices(&mut self) {
        let now = self.now;
        let Some(place) = self.one_of(&self.open(|seat| now.0 - seat.changed.0 > 2 * DAY * 1000)) else { return };
        let (txid, by_us, fee) =
            (self.txid(), self.dice.random_bool(0.8), self.dice.random_range(150_000..900_000_u64));
        let grows = self.seats[place].local < 1_000_000_000 || self.dice.random_bool(0.5);
        let before = self.seats[place].local;
        let after = match (by_us, grows) {
            (false, _) => before,
            (true, true) => before + 500_000_000,
            (true, false) => before - 400_000_000 - fee,
        };
        self.leaves(place, txid, before, true);
        let seat = &mut self.seats[place];
        seat.capacity = (seat.capacity + after).saturating_sub(before);
        (seat.local, seat.funding, seat.changed) = (after, txid, now);
        let height = 700_000 + u32::try_from(self.next()).unwrap();
        self.seats[place].scids.push(Scid::new(height, 1, 1).unwrap());
        let peer = self.seats[place].peer;
        self.coin(place, "channel_open", (after, 0), json!({ "utxo": format!("{txid}:0"), "peer_id": peer }));
        self.event(place, "channel_open", (after, 0), json!({ "outpoint": format!("{txid}:0") }));
        if by_us {
            self.fee(place, CostKind::Splice, (txid, fee), after);
        }
    }

    /// The channel's output is spent.
    fn leaves(&mut self, place: usize, txid: TxId, ours: u64, splice: bool) {
        let funding = self.seats[place].funding;
        let tags: &[&str] = if splice { &["splice"] } else { &[] };
        let (utxo, spending) = (format!("{funding}:0"), txid.to_string());
        let more = json!({ "utxo": utxo, "spending_txid": spending, "output_count": 2, "extra_tags": tags });
        self.coin(place, "channel_close", (0, ours), more);
        self.event(place, "channel_close", (0, ours), json!({ "outpoint": utxo, "txid": spending }));
    }

    fn closes(&mut self) {
        let now = self.now;
        let old = self.open(|seat| now.0 - seat.changed.0 > OLD * 1000);
        let Some(place) = self.one_of(&old).filter(|_| old.len() > 2) else { return };
        let how = [CloseType::Mutual, CloseType::LocalUnilateral, CloseType::RemoteUnilateral, CloseType::Penalty];
        let how = how[self.dice.random_range(0..how.len())];
        let (txid, opener, ours) = (self.txid(), self.seats[place].opener, self.seats[place].local);
        self.leaves(place, txid, ours, false);
        (self.seats[place].stage, self.seats[place].end) = (Stage::Closing, Some(how));
        let pays = opener == Side::Local;
        match how {
            CloseType::Mutual if pays => self.fee(place, CostKind::Closure, (txid, 195_000), 0),
            CloseType::Mutual => {}
            _ => self.commitment(place, txid, if pays { 2_070_000 } else { 250 }),
        }
        match how {
            CloseType::RemoteUnilateral => self.wallet("deposit", place, true),
            CloseType::Penalty => self.coin(place, "penalty", (ours, 0), json!({})),
            CloseType::LocalUnilateral => {
                let wait = now.plus_secs(DAY + self.dice.random_range(0..DAY));
                self.plan(wait, Plan::Sweep(place));
            }
            CloseType::Mutual | CloseType::Unilateral => {}
        }
        self.plan(now.plus_secs(5 * DAY), Plan::Forget(place));
    }

    /// What its outputs are the bookkeeper learns one by one: at first all that did not come back looks like a fee.
    fn commitment(&mut self, place: usize, txid: TxId, msat: u64) {
        let fee = self.fees.len();
        self.fee(place, CostKind::Closure, (txid, msat + 7_654_321), 0);
        let half = msat + 1_234_567;
        let soon = self.now.plus_secs(self.dice.random_range(1..HOUR));
        self.plan(soon, Plan::Correct { fee, to: half, seen: false });
        let later = self.now.plus_secs(self.dice.random_range(2 * HOUR..4 * DAY));
        self.plan(later, Plan::Correct { fee, to: msat, seen: true });
    }

    /// `seen`: a coin has moved because of it.
    fn corrects(&mut self, fee: usize, to: u64, seen: bool) {
        let Fee { seat, txid, msat, at, .. } = self.fees[fee];
        let (credit, debit) = (to.saturating_sub(msat), msat.saturating_sub(to));
        if seen {
            self.coin(seat, "htlc_timeout", (msat - to, 0), json!({ "utxo": format!("{txid}:2") }));
        }
        // A row of a fee has the time of its transaction.
        let now = std::mem::replace(&mut self.now, at);
        self.event(seat, "onchain_fee", (credit, debit), json!({ "txid": txid.to_string() }));
        self.now = now;
        self.fees[fee].msat = to;
    }

    fn sweeps(&mut self, place: usize) {
        let (txid, ours) = (self.txid(), self.seats[place].local);
        let spent = json!({ "spending_txid": txid.to_string() });
        self.coin(place, "delayed_to_us", (ours, 0), json!({}));
        self.coin(place, "to_wallet", (0, ours), spent);
        self.event(place, "delayed_to_us", (ours, 0), json!({ "outpoint": format!("{txid}:3") }));
        self.event(place, "to_wallet", (0, ours), json!({ "txid": txid.to_string() }));
        self.wallet("deposit", place, true);
        self.fee(place, CostKind::Closure, (txid, 134_000), 0);
    }
}
