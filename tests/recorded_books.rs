//! The P&L of every channel of a real node, worked out by hand from what the node said, beside ours. All amounts are msat.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::Path;

use cl_revenue_ops::accounts::{Costs, Life, Spliced, Sums};
use cl_revenue_ops::domain::{Account, ChannelId, ChannelName, CloseType, Identity, PeerId, Scid, Side, Time};
use cl_revenue_ops::ledger::{Ledger, LifeNews, Window};
use cl_revenue_ops::node::{cln_books, cln_graph, cln_wire};
use serde_json::{Value, json};

const MUTUAL: &str = "3417a591c3148cffad075438c6cfe00d8558326ac18da0050e292d66bdeca5ab";
const LOCAL_UNILATERAL: &str = "9db53f2dab0d4628df54d1d7c224436785bbad82b0073dccfca043c1a41b8dc3";
const REMOTE_UNILATERAL: &str = "964cdbb5da31ac54b0eb7a7ff7f54ab560d86c057241c4ea23c4c9473407f8ca";
const SPLICED: &str = "6e0a25f4a804bd69a2f5d15a41207c510decec83128640a463e93b94d7f0cce9";
const REBALANCED: &str = "253b4a8b5555ae4b8171f11ba2981d05c3e292eafd59f3666d8b13f88798650f";
const FILLED: &str = "af731219f2305e3f74651bb0065c0025fadea818a85610674b8566ec5267bcef";
const BROUGHT_MOST: &str = "981fcac589b32a0eb764ca3134e73d4e0adecd843440c24d4f88910f279cfe61";
const PUSHED: &str = "5b86683185a81c93f3843f2cde92462a70d2da9a57504b4553343a33b6f6f350";
const LATE: &str = "67ab08731407984dfdc9b64c7c43c0c153a816173c44845051474109fa3a404c";
const ALL: [&str; 9] =
    [MUTUAL, LOCAL_UNILATERAL, REMOTE_UNILATERAL, SPLICED, REBALANCED, FILLED, BROUGHT_MOST, PUSHED, LATE];

const NOW: Time = Time::from_secs(1_795_250_000);

fn recorded(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cln").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn id(name: &str) -> ChannelId {
    name.parse().unwrap()
}

/// The account as `bkpr-listaccountevents` tells it for the channel alone, with the second splice, which was recorded later.
fn account(channel: &str) -> Account {
    let (all, later) = (recorded("bkpr/listaccountevents_all.json"), recorded("bkpr/listaccountevents_spliceout.json"));
    let of = |answer: &Value| {
        answer["events"].as_array().unwrap().iter().filter(|e| e["account"] == channel).cloned().collect()
    };
    let (mut events, later): (Vec<Value>, Vec<Value>) = (of(&all), of(&later));
    let news: Vec<Value> = later.into_iter().filter(|event| !events.contains(event)).collect();
    events.extend(news);
    cln_books::account(&json!({ "events": events })).unwrap()
}

struct Steps {
    ledger: Ledger,
}

impl Steps {
    async fn new() -> Steps {
        let owner = Identity { node: PeerId([2; 33]), network: "regtest".to_owned() };
        Steps { ledger: Ledger::in_memory(&owner, NOW).await.unwrap() }
    }

    async fn channels(&self) {
        let listed = cln_wire::channels(&recorded("listpeerchannels.json")).unwrap();
        self.ledger.note_channels(NOW, &listed).await.unwrap();
        let news: Vec<_> = listed.iter().map(|c| (c.channel_id, LifeNews::listed(c, NOW))).collect();
        self.ledger.record_lives(NOW, &news).await.unwrap();
        for (scid, channel) in [("118x6x0", SPLICED), ("118x3x0", MUTUAL), ("118x9x0", LOCAL_UNILATERAL)] {
            let name = ChannelName { channel_id: id(channel), peer: None };
            self.ledger.name_scid(scid.parse::<Scid>().unwrap(), Some(&name)).await.unwrap();
        }
    }

    async fn forwards(&self) {
        let forwards = cln_wire::forwards(&recorded("listforwards/index_only.json")).unwrap();
        self.ledger.record_forwards(&forwards, None).await.unwrap();
    }

    async fn coins(&self) {
        let moves = cln_books::chain_moves(&recorded("listchainmoves.json")).unwrap();
        for page in moves.chunks(7) {
            self.ledger.record_chain(NOW, page).await.unwrap();
        }
        let page = cln_books::channel_moves(&recorded("listchannelmoves_first20.json")).unwrap();
        self.ledger.record_payments(&page).await.unwrap();
    }

    async fn accounts(&self) {
        for channel in ALL {
            let odd = self.ledger.record_account(NOW, id(channel), Some(&account(channel))).await.unwrap();
            assert_eq!(odd, [""; 0], "{channel}");
        }
    }

    async fn forgotten(&self) {
        let closed = cln_books::closed_channels(&recorded("listclosedchannels.json")).unwrap();
        let news: Vec<_> = closed.iter().map(|c| (c.channel, LifeNews::forgotten(c, NOW))).collect();
        self.ledger.record_lives(NOW, &news).await.unwrap();
    }

    async fn books(&self) -> (Window, HashMap<ChannelId, Life>) {
        assert_eq!(self.ledger.check(NOW).await.unwrap().problems, [""; 0]);
        (self.ledger.window(None).await.unwrap(), self.ledger.lives().await.unwrap())
    }
}

async fn books() -> (Window, HashMap<ChannelId, Life>) {
    let steps = Steps::new().await;
    steps.channels().await;
    steps.forwards().await;
    steps.coins().await;
    steps.accounts().await;
    steps.forgotten().await;
    steps.books().await
}

fn sums(window: &Window, channel: &str) -> Sums {
    window.channels.get(&id(channel)).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_mutual_close() {
    let (window, lives) = books().await;
    let sums = sums(&window, MUTUAL);
    // One forward of 1,016. We opened for 166,000 and closed for 195,000.
    assert_eq!(sums.earned, 1_016);
    assert_eq!(sums.costs, Costs { opening: 166_000, closure: 195_000, ..Costs::default() });
    assert_eq!(sums.net(), 1_016 - (166_000 + 195_000));
    let life = &lives[&id(MUTUAL)];
    assert_eq!((life.close_type, life.closer), (Some(CloseType::Mutual), Some(Side::Local)));
    assert_eq!((life.opener, life.cause.as_deref(), life.balance_msat), (Some(Side::Local), Some("user"), Some(0)));
    assert_eq!(life.opened_at, Some(Time::from_secs(1_795_243_683)));
    // By the block, not by when we heard of it.
    assert_eq!(life.closing_at, Some(Time::from_secs(1_795_244_163)));
}

#[tokio::test]
async fn a_unilateral_close_by_us() {
    let (window, lives) = books().await;
    let sums = sums(&window, LOCAL_UNILATERAL);
    // The commitment with its anchors cost 2,070,000, and sweeping our delayed output 134,000 more.
    assert_eq!(sums.earned, 9_991);
    assert_eq!(sums.costs, Costs { opening: 166_000, closure: 2_070_000 + 134_000, ..Costs::default() });
    assert_eq!(sums.net(), 9_991 - (166_000 + 2_070_000 + 134_000));
    assert_eq!(lives[&id(LOCAL_UNILATERAL)].close_type, Some(CloseType::LocalUnilateral));
}

#[tokio::test]
async fn a_unilateral_close_by_the_peer() {
    let (window, lives) = books().await;
    let sums = sums(&window, REMOTE_UNILATERAL);
    // It earned nothing and brought 3 x 750. The peer opened and paid for the commitment; 250 of ours were too small for an output.
    assert_eq!((sums.earned, sums.brought, sums.costs.total()), (0, 2_250, 250));
    assert_eq!(sums.net(), -250);
    let life = &lives[&id(REMOTE_UNILATERAL)];
    assert_eq!((life.close_type, life.opener), (Some(CloseType::RemoteUnilateral), Some(Side::Remote)));
    assert_eq!(life.archived_at, None, "the node has not forgotten it yet");
}

#[tokio::test]
async fn a_channel_that_was_spliced_in_and_out_and_drained_by_sling() {
    let (window, lives) = books().await;
    let sums = sums(&window, SPLICED);
    // 34,298 as 118x6x0 and 7,756 as 125x1x1.
    assert_eq!(sums.earned, 34_298 + 7_756);
    let splice_in = 4_354_696_796 - 4_354_438_796;
    let splice_out = 2_995_385_256 - 2_995_186_256;
    assert_eq!((splice_in, splice_out), (258_000, 199_000));
    // Seven moves by sling for 2,004 each and three for 1,004.
    let moves = 7 * 2_004 + 3 * 1_004;
    assert_eq!(sums.costs, Costs { opening: 166_000, closure: 0, splice: splice_in + splice_out, rebalance: moves });
    assert_eq!(sums.net(), 42_054 - (166_000 + 457_000 + 17_040));
    let life = &lives[&id(SPLICED)];
    assert_eq!((life.closing_at, life.close_type), (None, None), "a splice is no close");
    // 3,854,438,796 of ours became 4,354,438,796; later 3,295,385,256 became 2,995,186,256: 300,000 sat, and 199 for the transaction.
    let spliced = Spliced { in_count: 1, in_msat: 500_000_000, out_count: 1, out_msat: 300_199_000 };
    assert_eq!(life.spliced, Some(spliced));
    assert_eq!(lives[&id(MUTUAL)].spliced, Some(Spliced::default()));
}

#[tokio::test]
async fn channels_that_are_open() {
    let (window, _) = books().await;
    // Twenty moves by sling for 502 each.
    let rebalanced = sums(&window, REBALANCED);
    assert_eq!((rebalanced.earned, rebalanced.brought), (0, 512));
    assert_eq!(rebalanced.costs, Costs { opening: 166_000, rebalance: 20 * 502, ..Costs::default() });
    // Whose side a rebalance ends on pays nothing for it; who let it be opened neither.
    assert_eq!(sums(&window, FILLED).costs, Costs::default());
    assert_eq!(sums(&window, BROUGHT_MOST).costs, Costs::default());
    assert_eq!(sums(&window, BROUGHT_MOST).earned, 1_040);
    // What was pushed to the peer at the opening is a gift, not a cost of the channel.
    assert_eq!((sums(&window, PUSHED).earned, sums(&window, PUSHED).costs.total()), (1_400, 166_000));
    assert_eq!(sums(&window, LATE).costs, Costs { opening: 1_232_000, ..Costs::default() });
}

/// Two payers whose fee was not enough: half a second after the first another payment of nearly its amount comes by the same channel, with a
/// higher fee; after the second there is none.
#[tokio::test]
async fn payers_with_an_old_price_are_found_and_whoever_pays_the_new_one() {
    let steps = Steps::new().await;
    steps.channels().await;
    steps.forwards().await;
    let found = steps.ledger.refusals(Time(0), NOW.plus_hours(24.0 * 365.0)).await.unwrap();
    let told: Vec<_> = found.iter().map(|refusal| (refusal.at.0, refusal.came_back)).collect();
    assert_eq!(told, [(1_795_243_891_780, true), (1_795_244_870_039, false)]);
    assert_eq!(found[0].out, id(SPLICED));
}

#[tokio::test]
async fn every_fee_counts_once_in_the_total() {
    let (window, _) = books().await;
    let mut by_hand = Sums::default();
    window.channels.values().for_each(|sums| by_hand.join(sums));
    assert_eq!((by_hand, window.node.earned), (window.node, window.node.brought));
    assert_eq!(window.node.earned, 34_298 + 7_756 + 9_991 + 1_400 + 1_040 + 1_016);
    assert_eq!(window.node.costs.opening, 5 * 166_000 + 1_232_000);
}

#[tokio::test]
async fn whatever_comes_first_and_however_often_the_books_are_the_same() {
    let (window, lives) = books().await;
    let steps = Steps::new().await;
    for _ in 0..2 {
        steps.forgotten().await;
        steps.accounts().await;
        steps.coins().await;
        steps.forwards().await;
        steps.channels().await;
    }
    let (again, lives_again) = steps.books().await;
    assert_eq!(window, again);
    assert_eq!(lives, lives_again);
}

/// What `bkpr-listincome` says in the fees that it nets itself, line by line.
#[tokio::test]
async fn our_costs_are_those_of_the_bookkeepers_own_statement() {
    let steps = Steps::new().await;
    steps.channels().await;
    let all = recorded("bkpr/listaccountevents_all.json");
    let mut theirs: HashMap<ChannelId, (u64, u64)> = HashMap::new();
    for line in cln_books::income(&recorded("bkpr/listincome.json")).unwrap() {
        let Some(channel) = line.channel else { continue };
        let sums = theirs.entry(channel).or_default();
        match line.tag.as_str() {
            "onchain_fee" => sums.0 += line.debit.0,
            "rebalance_fee" => sums.1 += line.debit.0,
            _ => {}
        }
    }
    for channel in ALL {
        let events: Vec<&Value> =
            all["events"].as_array().unwrap().iter().filter(|e| e["account"] == channel).collect();
        let account = cln_books::account(&json!({ "events": events })).unwrap();
        steps.ledger.record_account(NOW, id(channel), Some(&account)).await.unwrap();
    }
    let window = steps.ledger.window(None).await.unwrap();
    for channel in ALL {
        let costs = sums(&window, channel).costs;
        let ours = (costs.opening + costs.closure + costs.splice, costs.rebalance);
        assert_eq!(ours, theirs.get(&id(channel)).copied().unwrap_or_default(), "{channel}");
    }
}

#[test]
fn who_takes_splices_says_so_in_its_features() {
    let mut answer = recorded("listpeers.json");
    let splicers = cln_graph::splicers(&answer).unwrap();
    assert_eq!(splicers.values().collect::<Vec<_>>(), [&true; 3]);
    // Demanded instead of offered; not at all; and a peer that has not been heard of since the start.
    for (place, features) in [(0, json!("400898880a8a59a1")), (1, json!("0898880a8a59a1")), (2, json!(null))] {
        answer["peers"][place]["features"] = features;
    }
    let splicers = cln_graph::splicers(&answer).unwrap();
    let of = |place: usize| splicers.get(&answer["peers"][place]["id"].as_str().unwrap().parse().unwrap());
    assert_eq!((of(0), of(1), of(2)), (Some(&true), Some(&false), None));
}
