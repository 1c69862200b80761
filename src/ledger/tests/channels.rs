//! Channels keep what is theirs, whatever they are called.

use crate::domain::ChannelName;

use super::*;

#[tokio::test]
async fn forwards_of_an_old_scid_stay_with_the_channel() {
    let ledger = noted().await;
    record(&ledger, &[settled(1)]).await;
    let spliced = Channel { scid: Some(scid(77)), ..channel(1) };
    ledger.note_channels(NOON, std::slice::from_ref(&spliced)).await.unwrap();
    record(&ledger, &[Forward { out_channel: Some(scid(77)), ..settled(2) }]).await;
    record(&ledger, &[Forward { out_channel: spliced.alias, ..settled(3) }]).await;
    assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, 3);
    assert_eq!(ledger.unknown_scids(10).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_placeholder_has_collected_moves_to_the_channel() {
    for (how, known_before) in [("listed", false), ("named", false), ("named", true), ("listed", true)] {
        let ledger = ledger().await;
        if known_before {
            let spliced = Channel { scid: Some(scid(77)), alias: None, ..channel(1) };
            ledger.note_channels(NOON, &[spliced]).await.unwrap();
            record(&ledger, &[Forward { out_channel: Some(scid(77)), ..settled(9) }]).await;
        }
        let lost = Forward { status: ForwardStatus::Failed, ..settled(3) };
        record(&ledger, &[lost, settled(1), settled(2), starved(4)]).await;
        assert_eq!(ledger.unknown_scids(10).await.unwrap(), [scid(0), scid(1)]);
        let name = ChannelName { channel_id: cid(1), peer: Some(peer(1)) };
        match how {
            "named" => ledger.name_scid(scid(1), Some(&name)).await.unwrap(),
            _ => ledger.note_channels(NOON, &[channel(1)]).await.unwrap(),
        }
        ledger.name_scid(scid(0), None).await.unwrap();
        assert_eq!(ledger.unknown_scids(10).await.unwrap(), [], "nobody is asked twice");
        let before = u64::from(known_before);
        let total = ledger.totals().await.unwrap()[&cid(1)];
        assert_eq!((total.out_count, total.failed, total.starved), (2 + before, 1, 1), "{how} {known_before}");
        let account = format!("channel/{}", cid(1));
        assert_eq!(ledger.balance_of(&account).await.unwrap(), 200 + 100 * i64::try_from(before).unwrap());
        let days = ledger.day_sums(NOON, 7).await.unwrap();
        assert_eq!(days[&cid(1)].days.iter().map(|d| d.out_count).sum::<u64>(), 2 + before);
        let demand = ledger.demand(NOON.plus_secs(-1), NOON.plus_secs(2)).await.unwrap();
        assert_eq!(
            demand.iter().map(|d| (d.out, d.from_peer, d.settled, d.starved)).collect::<Vec<_>>(),
            [(cid(1), None, 2 + before, 1)]
        );
        assert_eq!(problems(&ledger).await, [""; 0]);
    }
}

#[tokio::test]
async fn failures_toward_nowhere_make_no_channels() {
    let ledger = noted().await;
    for (htlc, nowhere) in [(1, Some(Scid(0))), (2, Some(scid(4242))), (3, None), (4, Some(Scid(u64::MAX)))] {
        record(&ledger, &[Forward { out_channel: nowhere, ..starved(htlc) }]).await;
    }
    assert_eq!(ledger.unknown_scids(10).await.unwrap(), []);
    assert_eq!(ledger.totals().await.unwrap().values().map(|t| t.local_failed).sum::<u64>(), 0);
    // Until one of them turns out to be a channel.
    ledger.note_channels(NOON, &[Channel { scid: Some(scid(4242)), ..channel(5) }]).await.unwrap();
    assert_eq!(ledger.totals().await.unwrap()[&cid(5)].starved, 1);
    assert_eq!(problems(&ledger).await, [""; 0]);
}

#[tokio::test]
async fn a_settled_forward_that_names_no_channel_is_still_money() {
    let ledger = noted().await;
    record(&ledger, &[Forward { out_channel: None, ..settled(1) }]).await;
    assert_eq!(ledger.balance_of("income/routing").await.unwrap(), -100);
    assert_eq!(ledger.unknown_scids(10).await.unwrap(), [], "there is nothing to ask for");
    assert_eq!(problems(&ledger).await, [""; 0]);
}
