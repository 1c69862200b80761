//! What every [`Node`] keeps, whichever world is behind it. Never asks which one that is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use cl_revenue_ops::domain::ForwardIndex;
use cl_revenue_ops::domain::{Channel, ChannelId, Forward, ForwardStatus, Msat, Ppm, Scid};
use cl_revenue_ops::node::{FeeOrder, ForwardPage, Node, NodeError};

/// Runs `node` through all its verbs. It must have a channel that routes; forwards are checked as far as there are any.
/// Leaves another fee on one channel.
pub(crate) async fn check_node(node: &dyn Node) {
    assert_eq!(node.identity().await.unwrap(), node.identity().await.unwrap(), "a node stays who it is");
    node.feerate().await.unwrap();
    check_channels(node).await;
    check_forwards(node, ForwardIndex::Created).await;
    check_forwards(node, ForwardIndex::Updated).await;
    check_names(node).await;
    check_fees(node).await;
    for report in node.breakers() {
        assert_eq!(report.state, "closed", "{report:?}");
    }
}

async fn check_channels(node: &dyn Node) {
    let channels = node.channels().await.unwrap();
    assert!(channels.iter().any(Channel::routes), "there is a channel to price");
    let ids: HashSet<ChannelId> = channels.iter().map(|c| c.channel_id).collect();
    assert_eq!(ids.len(), channels.len(), "a channel is listed once");
    for channel in &channels {
        assert!(channel.local <= channel.capacity, "{channel:?}");
        assert!(channel.spendable <= channel.local, "{channel:?}");
    }
}

async fn check_forwards(node: &dyn Node, index: ForwardIndex) {
    const MANY: u64 = 1_000_000;
    let of = |f: &Forward| match index {
        ForwardIndex::Created => f.created_index,
        ForwardIndex::Updated => f.updated_index,
    };
    let read = |start, limit| node.forwards(ForwardPage { index, start, limit });
    let all = read(1, MANY).await.unwrap();
    assert!(all.iter().all(|f| of(f).is_some()), "a page carries the index it was asked by");
    assert!(all.windows(2).all(|pair| of(&pair[0]) < of(&pair[1])), "a page is in the order of its index");
    if index == ForwardIndex::Updated {
        let never = |f: &Forward| matches!(f.status, ForwardStatus::Offered | ForwardStatus::LocalFailed);
        assert!(!all.iter().any(never), "only what was resolved down the route is an update");
    }
    let past = all.last().and_then(of).unwrap_or(0) + 1;
    assert_eq!(read(past, MANY).await.unwrap(), [], "past the end there is nothing");
    assert_eq!(read(past + MANY, 1).await.unwrap(), [], "far past the end there is nothing either");

    let mut paged = Vec::new();
    loop {
        let start = paged.last().and_then(of).unwrap_or(0) + 1;
        let page = read(start, 7).await.unwrap();
        assert!(page.len() <= 7, "a page is not longer than its limit");
        assert!(page.iter().all(|f| of(f) >= Some(start)), "a page begins at its start");
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all, "pages put together are the whole");
    for forward in all.iter().take(3) {
        let one = read(of(forward).unwrap(), 1).await.unwrap();
        assert_eq!(one.as_slice(), std::slice::from_ref(forward), "the start belongs to the page");
    }
}

async fn check_names(node: &dyn Node) {
    for channel in node.channels().await.unwrap() {
        let Some(scid) = channel.scid else { continue };
        let name = node.channel_of(scid).await.unwrap().expect("a listed channel is found by its short id");
        assert_eq!((name.channel_id, name.peer), (channel.channel_id, Some(channel.peer)));
    }
    assert_eq!(node.channel_of(Scid::new(1, 2, 3).unwrap()).await.unwrap(), None, "an id that never was");
}

async fn check_fees(node: &dyn Node) {
    let channel = node.channels().await.unwrap().into_iter().find(Channel::routes).unwrap();
    let ppm = if channel.ours.ppm == Ppm(123) { Ppm(124) } else { Ppm(123) };
    let id = channel.channel_id;

    for round in ["first", "again"] {
        let set = node.set_fee(FeeOrder::rate(id, ppm)).await.unwrap();
        assert_eq!((set.ppm, set.base), (ppm, channel.ours.base), "{round}: the base is left alone");
        let now = listed(node, id).await;
        assert_eq!((now.ours.ppm, now.ours.base), (ppm, channel.ours.base), "{round}: the listing agrees");
    }
    let base = Msat(if channel.ours.base == Msat(7) { 8 } else { 7 });
    let set = node.set_fee(FeeOrder { base: Some(base), ..FeeOrder::rate(id, Ppm(0)) }).await.unwrap();
    assert_eq!((set.ppm, set.base), (Ppm(0), base));
    let now = listed(node, id).await;
    assert_eq!((now.ours.ppm, now.ours.base), (Ppm(0), base));

    let stranger = FeeOrder::rate(ChannelId([0x11; 32]), ppm);
    let error = node.set_fee(stranger).await.unwrap_err();
    assert!(matches!(error, NodeError::Refused { .. }), "an unknown channel is refused: {error}");
}

async fn listed(node: &dyn Node, id: ChannelId) -> Channel {
    node.channels().await.unwrap().into_iter().find(|c| c.channel_id == id).expect("the channel is still there")
}
