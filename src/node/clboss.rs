//! CLBoss and cl-hive as they are spoken to over Core Lightning's socket. Only commands that they have themselves; never decides what
//! they are told.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::NodeError;
use super::cln::CoreLightning;
use super::cln_row::garbled;
use super::neighbours::{HiveNews, Neighbours, Unmanaged};
use crate::domain::units::to_u64_rounded;
use crate::domain::{Msat, PeerId, Side};

#[async_trait]
impl Neighbours for CoreLightning {
    async fn clboss_unmanaged(&self) -> Result<Option<Unmanaged>, NodeError> {
        match self.call("clboss-status", json!([])).await {
            Ok(answer) => unmanaged(&answer).map(Some),
            Err(NodeError::Unsupported { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn clboss_unmanage(&self, peer: PeerId, tags: &BTreeSet<String>) -> Result<(), NodeError> {
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        self.call("clboss-unmanage", json!([peer, tags.join(",")])).await.map(drop)
    }

    async fn tell_hive(&self, news: &HiveNews) -> Result<bool, NodeError> {
        let (method, params) = hive_call(news);
        match self.call(method, params).await {
            Ok(_) => Ok(true),
            Err(NodeError::Unsupported { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// `clboss-status`: `unmanaged` is an object, node id to tags with commas between them. Without it nobody knows what the user has set,
/// and nothing may be replaced.
pub(super) fn unmanaged(answer: &Value) -> Result<Unmanaged, NodeError> {
    let rows = match answer.get("unmanaged") {
        Some(Value::Object(rows)) => rows,
        Some(Value::Null) => return Ok(HashMap::new()),
        _ => return Err(garbled("clboss-status", "'unmanaged' is not there".to_owned())),
    };
    let row = |(id, tags): (&String, &Value)| {
        let wrong = |what: &str| garbled("clboss-status", format!("'unmanaged' of '{id}': {what}"));
        let peer = id.parse().map_err(|_| wrong("no node id"))?;
        let tags = tags.as_str().ok_or_else(|| wrong("no text"))?;
        Ok((peer, tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()))
    };
    rows.iter().map(row).collect()
}

fn hive_call(news: &HiveNews) -> (&'static str, Value) {
    let mut params = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            params.insert(name.to_owned(), value);
        }
    };
    let side = |side: Side| match side {
        Side::Local => json!("local"),
        Side::Remote => json!("remote"),
    };
    let sats = |amount: Msat| json!(amount.sat_floor());
    let (HiveNews::Opened { peer, channel, scid, .. } | HiveNews::Closed { peer, channel, scid, .. }) = news;
    put("peer_id", Some(json!(peer)));
    put("channel_id", Some(scid.map_or_else(|| json!(channel), |scid| json!(scid))));
    match news {
        HiveNews::Opened { opener, capacity, .. } => {
            put("opener", opener.map(side));
            put("capacity_sats", capacity.map(sats));
            ("hive-channel-opened", params.into())
        }
        HiveNews::Closed { closer, past, .. } => {
            put("closer", closer.map(side));
            put("close_type", past.close_type.map(|how| json!(how.name())));
            put("capacity_sats", past.capacity.map(sats));
            put("duration_days", past.days.map(|days| json!(to_u64_rounded(days.floor()))));
            put("total_revenue_sats", past.revenue.map(sats));
            put("total_rebalance_cost_sats", past.rebalance_cost.map(sats));
            // A loss is never told smaller than it is.
            put("net_pnl_sats", past.net_msat.map(|net| json!(net.div_euclid(1000))));
            put("forward_count", past.forwards.map(|n| json!(n)));
            put("forward_volume_sats", past.volume.map(sats));
            put("our_fee_ppm", past.our_fee.map(|fee| json!(fee)));
            put("their_fee_ppm", past.their_fee.map(|fee| json!(fee)));
            put("routing_score", past.forwards.map(|n| json!(routing_score(n))));
            put("profitability_score", past.annualised_roc.map(|roc| json!(profitability_score(roc))));
            ("hive-channel-closed", params.into())
        }
    }
}

/// As cl-hive's other correspondents reckon it.
fn routing_score(forwards: u64) -> f64 {
    match forwards {
        101.. => 0.9,
        51..=100 => 0.7,
        11..=50 => 0.5,
        1..=10 => 0.3,
        0 => 0.1,
    }
}

fn profitability_score(roc_percent: f64) -> f64 {
    match roc_percent {
        roc if roc > 10.0 => 0.9,
        roc if roc > 5.0 => 0.7,
        roc if roc > 0.0 => 0.5,
        roc if roc > -5.0 => 0.3,
        _ => 0.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChannelId, CloseType, Ppm, Scid};
    use crate::node::neighbours::HivePast;

    fn id(byte: u8) -> PeerId {
        let mut id = [byte; 33];
        id[0] = 2;
        PeerId(id)
    }

    #[test]
    fn tags_are_read_as_clboss_writes_them() {
        let answer = json!({ "unmanaged": { id(1).to_string(): "lnfee, open", id(2).to_string(): "" }, "more": 1 });
        let read = unmanaged(&answer).unwrap();
        assert_eq!(read[&id(1)], ["lnfee", "open"].map(str::to_owned).into());
        assert!(read[&id(2)].is_empty());
        assert!(unmanaged(&json!({ "unmanaged": {} })).unwrap().is_empty());
        for wrong in [json!({}), json!({ "unmanaged": [] }), json!({ "unmanaged": { "x": "lnfee" } })] {
            assert!(unmanaged(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_hive_is_told_what_is_known_and_nothing_else() {
        let scid = Scid::new(8, 1, 0);
        let opened = HiveNews::Opened { peer: id(1), channel: ChannelId([7; 32]), scid, opener: None, capacity: None };
        assert_eq!(hive_call(&opened), ("hive-channel-opened", json!({ "peer_id": id(1), "channel_id": "8x1x0" })));
        let past =
            HivePast { revenue: Some(Msat(1_999)), forwards: Some(51), our_fee: Some(Ppm(0)), ..HivePast::default() };
        let channel = ChannelId([7; 32]);
        let closed = HiveNews::Closed { peer: id(1), channel, scid: None, closer: Some(Side::Remote), past };
        let (method, params) = hive_call(&closed);
        assert_eq!((method, &params["channel_id"]), ("hive-channel-closed", &json!(channel)));
        assert_eq!((&params["total_revenue_sats"], &params["routing_score"]), (&json!(1), &json!(0.7)));
        assert_eq!((&params["closer"], &params["our_fee_ppm"]), (&json!("remote"), &json!(0)));
        assert!(params.get("capacity_sats").is_none() && params.get("net_pnl_sats").is_none());
    }

    #[test]
    fn the_hive_is_told_what_the_books_say_of_a_channel() {
        let past = HivePast {
            close_type: Some(CloseType::Mutual),
            days: Some(30.9),
            rebalance_cost: Some(Msat(2_999)),
            net_msat: Some(-1_500),
            annualised_roc: Some(-0.2),
            ..HivePast::default()
        };
        let channel = ChannelId([7; 32]);
        let (_, params) = hive_call(&HiveNews::Closed { peer: id(1), channel, scid: None, closer: None, past });
        let told = ["close_type", "duration_days", "total_rebalance_cost_sats", "net_pnl_sats", "profitability_score"];
        let told = told.map(|field| params[field].clone());
        assert_eq!(told, [json!("mutual"), json!(30), json!(2), json!(-2), json!(0.3)]);
        let score = |roc: f64| profitability_score(roc);
        assert_eq!([10.1, 10.0, 5.0, 0.0, -5.0].map(score), [0.9, 0.7, 0.5, 0.3, 0.1]);
    }
}
