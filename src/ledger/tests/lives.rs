//! Whatever order events come in, the ledger is the same.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// What befell one forward: the events that told of it, as the node may send them.
fn life(htlc: u64, from: u32, to: u32, outcome: u8, secs: i64) -> Vec<Forward> {
    let created = Some(htlc + 1);
    let received = NOON.plus_secs(secs);
    let base = Forward {
        key: ForwardKey { in_channel: scid(from), in_htlc_id: htlc },
        out_channel: Some(scid(to)),
        received,
        resolved: Some(received.plus_secs(secs % 100)),
        created_index: created,
        ..settled(htlc)
    };
    let offer = Forward { status: ForwardStatus::Offered, resolved: None, updated_index: None, ..base.clone() };
    match outcome {
        0 => vec![offer],
        1 => vec![offer, Forward { created_index: None, ..base.clone() }, base],
        2 => {
            let failed = Forward { status: ForwardStatus::Failed, ..base };
            vec![offer, Forward { created_index: None, out_channel: None, ..failed.clone() }, failed]
        }
        3 => vec![Forward { status: ForwardStatus::LocalFailed, failcode: Some(16_394), ..starved(htlc) }]
            .into_iter()
            .map(|f| Forward { key: base.key, out_channel: Some(scid(to + 3)), received, created_index: created, ..f })
            .collect(),
        _ => vec![Forward {
            key: base.key,
            out_channel: base.out_channel,
            received,
            created_index: created,
            ..starved(htlc)
        }],
    }
}

fn lives() -> impl Strategy<Value = Vec<Vec<Forward>>> {
    let one = (0u32..4, 0u32..4, 0u8..5, 0i64..200_000);
    proptest::collection::vec(one, 1..25).prop_map(|all| {
        (0..).zip(all).map(|(htlc, (from, to, outcome, secs))| life(htlc, from, to, outcome, secs)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The same events in any order, any number of times, in any batches, with the channels listed at any moment or never:
    /// the same ledger.
    #[test]
    fn order_and_repetition_do_not_matter(
        lives in lives(),
        seed in any::<u64>(),
        size in 1usize..40,
        note_at in 0usize..6,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let plain: Vec<Forward> = lives.concat();
            let channels = [channel(0), channel(1)];
            let one = ledger().await;
            one.note_channels(NOON, &channels).await.unwrap();
            record(&one, &plain).await;

            let mut shuffled = [plain.clone(), plain].concat();
            let mut random = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(seed);
            rand::seq::SliceRandom::shuffle(shuffled.as_mut_slice(), &mut random);
            let two = ledger().await;
            for (n, batch) in shuffled.chunks(size).enumerate() {
                if n == note_at {
                    two.note_channels(NOON, &channels).await.unwrap();
                }
                record(&two, batch).await;
            }
            two.note_channels(NOON, &channels).await.unwrap();
            assert_eq!(dump(&one).await, dump(&two).await);

            let week = NOON.plus_secs(7 * 24 * HOUR);
            let check = two.check(week).await.unwrap();
            assert_eq!((check.sum_of_accounts_msat, check.problems), (0, vec![]));
            let fees: u64 = two.totals().await.unwrap().values().map(|t| t.fees_earned_msat).sum();
            let settled = lives.iter().filter(|life| life[0].status != ForwardStatus::LocalFailed && life.len() > 1
                && life[1].status == ForwardStatus::Settled).count();
            assert_eq!(fees, 100 * u64::try_from(settled).unwrap());
            assert_eq!(two.balance_of("income/routing").await.unwrap(), -i64::try_from(fees).unwrap());
        });
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_half_done() {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::open(&folder.path().join("ledger.db"), &owner(), NOON).await.unwrap();
    let forwards: Vec<Forward> = synthetic::Forwards::new(1, 20, NOON, 2_000).take(4_000).collect();
    for (n, page) in (0..).zip(forwards.chunks(100)) {
        let patience = std::time::Duration::from_micros(n * 150);
        let _ = tokio::time::timeout(patience, ledger.record_forwards(page, None)).await;
    }
    assert_eq!(ledger.check(forwards[3_999].received).await.unwrap().problems, [""; 0]);
    record(&ledger, &forwards).await;
    let check = ledger.check(forwards[3_999].received).await.unwrap();
    assert_eq!((check.forwards, check.problems), (4_000, vec![]));
    ledger.close().await;
}

#[tokio::test]
async fn synthetic_forwards_add_up() {
    let ledger = ledger().await;
    let channels: Vec<Channel> = (0..50).map(channel).collect();
    ledger.note_channels(NOON, &channels).await.unwrap();
    let forwards: Vec<Forward> = synthetic::Forwards::new(1, 50, NOON, 2_000).take(5_000).collect();
    let mut read = 0;
    for page in forwards.chunks(1_000) {
        read += 1_000;
        ledger.record_forwards(page, Some((ForwardIndex::Created, read))).await.unwrap();
    }
    let check = ledger.check(forwards[4_999].received).await.unwrap();
    let settled = forwards.iter().filter(|f| f.status == ForwardStatus::Settled);
    assert_eq!(check.settled, u64::try_from(settled.clone().count()).unwrap());
    assert_eq!(check.fees_msat, settled.filter_map(|f| f.fee).map(|fee| fee.0).sum::<u64>());
    assert_eq!((check.forwards, check.problems), (5_000, vec![]));
}
