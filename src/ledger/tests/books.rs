//! Any order and any repetition of the same news gives the same books, and totals by channel, day and window agree to the msat.

use proptest::prelude::*;

use super::*;
use crate::accounts::{CostKind, Costs, Sums};
use crate::domain::{
    Account, AccountLine, ChainMove, ChainTag, ChannelMoves, CoinAccount, Direction, Evidence, OwnPayment, PaymentHash,
    TxId,
};
use crate::ledger::{Estimate, LifeNews};

/// One thing that the node tells, now or again.
#[derive(Clone, Debug)]
enum News {
    Forwards(Vec<Forward>),
    Account(u8, Account),
    Payments(Vec<OwnPayment>),
    Chain(Vec<ChainMove>),
    Life(u8, LifeNews),
}

fn at(day: i64, secs: i64) -> Time {
    NOON.plus_secs(day * 24 * HOUR + secs)
}

fn node_channel(n: u8) -> ChannelId {
    cid(u32::from(n))
}

fn account_of(n: u8, fees: &[(u8, u64, i64)]) -> Account {
    let mut lines = vec![AccountLine::Opened { txid: TxId([n; 32]), credit: Msat(4_000_000), at: at(-40, 0) }];
    lines.push(AccountLine::Fee { txid: TxId([n; 32]), credit: Msat(166_000), debit: Msat(0), at: at(-40, 0) });
    for (tx, msat, day) in fees {
        let txid = TxId([100 + tx; 32]);
        let when = at(*day, 7);
        if tx % 2 == 0 {
            lines.push(AccountLine::Spent { txid, debit: Msat(4_000_000), at: when });
            lines.push(AccountLine::Opened { txid, credit: Msat(4_000_000), at: when });
            lines.push(AccountLine::Fee { txid, credit: Msat(4_000_000 + msat), debit: Msat(0), at: when });
            lines.push(AccountLine::Fee { txid, credit: Msat(0), debit: Msat(4_000_000), at: when });
        } else {
            lines.push(AccountLine::Fee { txid, credit: Msat(*msat), debit: Msat(0), at: when });
        }
    }
    Account { lines, balance_msat: 0 }
}

fn payment(n: u8, direction: Direction, channel: u8, fee: u64) -> OwnPayment {
    OwnPayment {
        payment: PaymentHash([n; 32]),
        part: u64::from(n % 3),
        channel: node_channel(channel),
        direction,
        amount: Msat(100_000),
        fee: if direction == Direction::Out { Msat(fee) } else { Msat(0) },
        at: at(-i64::from(n % 50), 11),
    }
}

fn chain(n: u8) -> ChainMove {
    ChainMove {
        index: u64::from(n) + 1,
        account: CoinAccount::Channel(node_channel(n % 3)),
        origin: None,
        tag: [ChainTag::Open, ChainTag::Close, ChainTag::DelayedToUs, ChainTag::Anchor][usize::from(n % 4)],
        peer: None,
        splice: n.is_multiple_of(5),
        at: at(-i64::from(n), 3),
    }
}

fn forwards() -> impl Strategy<Value = Vec<Forward>> {
    prop::collection::vec((0u64..400, 0i64..70, 0u64..5_000), 1..12).prop_map(|rows| {
        rows.into_iter()
            .map(|(htlc, day, _)| Forward {
                received: at(-day, 0),
                resolved: Some(at(-day, i64::try_from(htlc).unwrap_or(0))),
                fee: Some(Msat(htlc * 13 + 1)),
                in_msat: Msat(1_000_000 + htlc * 13 + 1),
                // What one forward was does not depend on who tells it.
                ..settled(htlc * 100 + day.unsigned_abs())
            })
            .collect()
    })
}

fn news() -> impl Strategy<Value = News> {
    let fees = prop::collection::btree_map(0u8..6, (1u64..9_000, -60i64..0), 0..4);
    prop_oneof![
        forwards().prop_map(News::Forwards),
        (0u8..3, fees).prop_map(|(n, fees)| {
            let fees: Vec<_> = fees.into_iter().map(|(tx, (msat, day))| (tx, msat, day)).collect();
            News::Account(n, account_of(n, &fees))
        }),
        (0u8..20, 1u64..3_000, 0u8..3).prop_map(|(n, fee, channel)| {
            News::Payments(vec![
                payment(n, Direction::Out, n % 3, 100 + u64::from(n)),
                payment(n, Direction::In, channel, fee),
            ])
        }),
        prop::collection::vec((0u8..60).prop_map(chain), 1..5).prop_map(News::Chain),
        (0u8..3, 0u8..128).prop_map(|(n, bits)| {
            let closing_at = (bits > 64).then(|| at(-i64::from(bits), 0));
            News::Life(n, LifeNews { evidence: Evidence(bits & 3), closing_at, ..LifeNews::default() })
        }),
    ]
}

async fn tell(ledger: &Ledger, news: &News) {
    match news {
        News::Forwards(forwards) => drop(record(ledger, forwards).await),
        News::Account(n, account) => drop(ledger.record_account(NOON, node_channel(*n), Some(account)).await.unwrap()),
        News::Payments(payments) => {
            let page = ChannelMoves { rows: 2, last: None, payments: payments.clone() };
            ledger.record_payments(&page).await.unwrap();
        }
        News::Chain(moves) => ledger.record_chain(NOON, moves).await.unwrap(),
        News::Life(n, life) => ledger.record_lives(NOON, &[(node_channel(*n), life.clone())]).await.unwrap(),
    }
}

/// The bookkeeper's account is a whole: of several readings the last one holds. Here each channel has one account only.
fn one_account_each(news: Vec<News>) -> Vec<News> {
    let mut seen = [false; 3];
    news.into_iter()
        .filter(|one| match one {
            News::Account(n, _) => !std::mem::replace(&mut seen[usize::from(*n)], true),
            _ => true,
        })
        .collect()
}

async fn books(ledger: &Ledger) -> (Vec<String>, crate::ledger::Window, Vec<crate::accounts::Life>) {
    let mut lives: Vec<_> = ledger.lives().await.unwrap().into_values().collect();
    lives.sort_by_key(|life| life.channel);
    (dump(ledger).await, ledger.window(None).await.unwrap(), lives)
}

/// Every way to add the same money up.
async fn agree(ledger: &Ledger) {
    let ever = ledger.window(None).await.unwrap();
    let mut sum = Sums::default();
    ever.channels.values().for_each(|one| sum.join(one));
    assert_eq!(sum, ever.node, "channels and node");
    let days = ledger.day_series(i64::MIN / 4, i64::MAX / 4).await.unwrap();
    let mut sum = Sums::default();
    days.values().for_each(|one| sum.join(one));
    assert_eq!(sum, ever.node, "days and all time");
    for day in days.keys() {
        assert_eq!(ledger.day_window(*day).await.unwrap().node, days[day], "a day by channel");
    }
    let all = ledger.window(Some(at(-200, 0))).await.unwrap();
    assert_eq!(all.node, ever.node, "a window that holds everything");
    for kind in CostKind::ALL {
        let account = format!("cost/{}", kind.name());
        let booked = ledger.balance_of(&account).await.unwrap();
        assert_eq!(booked, i64::try_from(ever.node.costs.of(kind)).unwrap(), "{account}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_order_and_repetition_gives_the_same_books(
        news in prop::collection::vec(news(), 1..14), seed in any::<u64>(), hours in 1i64..2_000,
    ) {
        let news = one_account_each(news);
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (one, two) = (noted().await, noted().await);
            for piece in &news {
                tell(&one, piece).await;
            }
            let mut shuffled: Vec<News> = news.iter().chain(&news).cloned().collect();
            let mut random = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(seed);
            rand::seq::SliceRandom::shuffle(shuffled.as_mut_slice(), &mut random);
            for piece in &shuffled {
                tell(&two, piece).await;
            }
            assert_eq!(books(&one).await, books(&two).await);
            agree(&two).await;
            let check = two.check(NOON.plus_secs(HOUR)).await.unwrap();
            assert_eq!((check.sum_of_accounts_msat, check.problems), (0, vec![]));
            // A window to the hour is what all hours and costs since then add up to.
            let from = NOON.plus_secs(-hours * HOUR);
            let window = two.window(Some(from)).await.unwrap();
            let rows: (i64, i64) = {
                let mut writer = two.writer().await.unwrap();
                let earned = sqlx::query_scalar("SELECT COALESCE(SUM(earned_msat), 0) FROM rollups WHERE hour >= ?")
                    .bind(from.hour()).fetch_one(&mut writer.conn).await.unwrap();
                let cost = sqlx::query_scalar("SELECT COALESCE(SUM(amount_msat), 0) FROM transfers WHERE at >= ? AND to_account IN
                    (SELECT id FROM accounts WHERE name LIKE 'cost/%')")
                    .bind(from.hour() * 3_600_000).fetch_one(&mut writer.conn).await.unwrap();
                (earned, cost)
            };
            assert_eq!((window.node.earned, window.node.costs.total()), (rows.0.unsigned_abs(), rows.1.unsigned_abs()));
        });
    }
}

#[tokio::test]
async fn an_estimate_goes_when_the_fact_comes_and_does_not_come_back() {
    let ledger = noted().await;
    let guess = |kind, which: &str, msat, day| Estimate {
        channel: node_channel(1),
        kind,
        which: which.to_owned(),
        msat: Msat(msat),
        at: at(day, 0),
    };
    let guesses = [
        guess(CostKind::Opening, "", 5_000_000, -3),
        guess(CostKind::Closure, "", 3_000_000, -1),
        guess(CostKind::Splice, "1x1x1", 2_000_000, -2),
    ];
    ledger.record_estimates(&guesses).await.unwrap();
    // A better guess replaces the first, on its day.
    ledger.record_estimates(&[guess(CostKind::Closure, "", 195_000, 0)]).await.unwrap();
    let costs = ledger.window(None).await.unwrap().channels[&node_channel(1)].costs;
    assert_eq!(costs, Costs { opening: 5_000_000, closure: 195_000, splice: 2_000_000, rebalance: 0 });
    assert!(ledger.lives().await.unwrap()[&node_channel(1)].estimated);
    agree(&ledger).await;

    ledger.record_account(NOON, node_channel(1), Some(&account_of(1, &[(1, 7_000, -1)]))).await.unwrap();
    ledger.record_estimates(&guesses[..2]).await.unwrap();
    let costs = ledger.window(None).await.unwrap().channels[&node_channel(1)].costs;
    assert_eq!(costs, Costs { opening: 166_000, closure: 7_000, splice: 0, rebalance: 0 });
    assert!(!ledger.lives().await.unwrap()[&node_channel(1)].estimated);
    agree(&ledger).await;
}

#[tokio::test]
async fn a_fee_that_the_bookkeeper_corrects_is_corrected() {
    let ledger = noted().await;
    for (fees, closure) in
        [(&[][..], 0), (&[(1, 2_070_000, -2)], 2_070_000), (&[(1, 2_000_000, -2), (3, 134_000, -1)], 2_134_000)]
    {
        ledger.record_account(NOON, node_channel(0), Some(&account_of(0, fees))).await.unwrap();
        assert_eq!(ledger.window(None).await.unwrap().node.costs.closure, closure);
        agree(&ledger).await;
    }
    // That the bookkeeper forgets an account is no reason to forget what it said.
    ledger.record_account(NOON, node_channel(0), None).await.unwrap();
    assert_eq!(ledger.window(None).await.unwrap().node.costs.closure, 2_134_000);
    assert_eq!(problems(&ledger).await, [""; 0]);
}

#[tokio::test]
async fn only_what_came_back_is_a_rebalance() {
    let ledger = noted().await;
    let page = |payments: Vec<OwnPayment>, last| ChannelMoves { rows: 1, last: Some(last), payments };
    ledger
        .record_payments(&page(vec![payment(1, Direction::Out, 0, 2_004), payment(2, Direction::Out, 0, 9)], 2))
        .await
        .unwrap();
    assert_eq!(ledger.window(None).await.unwrap().node.costs.rebalance, 0);
    ledger.record_payments(&page(vec![payment(1, Direction::In, 2, 0)], 3)).await.unwrap();
    let window = ledger.window(None).await.unwrap();
    assert_eq!(window.channels[&node_channel(0)].costs.rebalance, 2_004);
    assert_eq!(window.node.costs.rebalance, 2_004);
    assert_eq!(ledger.coin_positions().await.unwrap().channel, 3);
}

#[tokio::test]
async fn the_bookkeeper_is_asked_when_a_coin_moves_and_once_more_an_hour_later() {
    let ledger = noted().await;
    ledger.record_chain(NOON, &[chain(0)]).await.unwrap();
    assert_eq!(ledger.to_ask(NOON, 9).await.unwrap(), [node_channel(0)]);
    ledger.record_account(NOON, node_channel(0), None).await.unwrap();
    assert_eq!(ledger.to_ask(NOON, 9).await.unwrap(), []);
    let later = NOON.plus_secs(HOUR);
    assert_eq!(ledger.to_ask(later, 9).await.unwrap(), [node_channel(0)]);
    ledger.record_account(later, node_channel(0), None).await.unwrap();
    assert_eq!(ledger.to_ask(later.plus_secs(99 * HOUR), 9).await.unwrap(), []);
}

#[tokio::test]
async fn the_journal_is_the_same_page_by_page() {
    let ledger = ledger().await;
    for n in 0..4 {
        let fees: Vec<(u8, u64, i64)> = (0..12).map(|tx| (tx, 1_000 + u64::from(tx), i64::from(tx / 4))).collect();
        ledger.record_account(NOON, node_channel(n), Some(&account_of(n, &fees))).await.unwrap();
    }
    let span = (at(-40, 0), at(40, 0));
    let whole = ledger.journal(span, "", 1_000).await.unwrap();
    assert_eq!(whole.len(), 4 * 13);
    for size in [1, 3, 7, 52, 53] {
        let (mut pages, mut place) = (Vec::new(), (span.0, String::new()));
        loop {
            let page = ledger.journal((place.0, span.1), &place.1, size).await.unwrap();
            let Some(last) = page.last() else { break };
            place = (last.at, last.key.clone());
            pages.extend(page);
        }
        assert_eq!(pages, whole, "{size} lines a page");
    }
}
