//! A pair of blocks when it is over: what was counted at either fee, and what came of it. For people; nothing is decided by it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Sample, Surprise};
use crate::domain::Time;

/// Pairs that are remembered of each peer: about a week's worth at one a day, and few enough for thousands of peers.
pub(super) const KEPT: usize = 6;

/// Kept as a row without names, because every peer has some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub(crate) struct Pair {
    pub(super) at: Time,
    /// `None`: nothing was to be learned from that block.
    pub(super) first: Option<Count>,
    pub(super) second: Option<Count>,
    pub(super) verdict: PairVerdict,
    /// ln of what the middle was multiplied with.
    pub(super) moved: f64,
}

/// What was seen in one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Count {
    pub(super) events: f64,
    pub(super) exposure: f64,
    pub(super) fee: f64,
}

type Row = (Time, Option<[f64; 3]>, Option<[f64; 3]>, PairVerdict, f64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PairVerdict {
    /// As was to be expected; the belief took it in.
    Learned,
    /// More or fewer payers than expected at either fee: the market's size, not the price.
    MarketChanged,
    /// The split contradicts what was believed: payers bear more, or less.
    TooCheap,
    TooDear,
    /// A block without balance, or under congestion: the belief took in nothing.
    Unseen,
}

impl Pair {
    pub(super) fn new(at: Time, first: Option<Sample>, second: Option<Sample>, surprise: Option<&Surprise>) -> Pair {
        let verdict = match surprise {
            _ if first.is_none() || second.is_none() => PairVerdict::Unseen,
            None => PairVerdict::Learned,
            Some(Surprise::Market) => PairVerdict::MarketChanged,
            Some(Surprise::Price { up: true }) => PairVerdict::TooCheap,
            Some(Surprise::Price { up: false }) => PairVerdict::TooDear,
        };
        let count = |sample: Sample| Count { events: sample.n, exposure: sample.e, fee: sample.f };
        Pair { at, first: first.map(count), second: second.map(count), verdict, moved: 0.0 }
    }

    /// The dearer block's revenue for each hour in which payers could be served, over the cheaper one's.
    fn dear_over_cheap(&self) -> Option<f64> {
        let (one, two) = (self.first?, self.second?);
        let (dear, cheap) = if one.fee >= two.fee { (one, two) } else { (two, one) };
        let earned = |count: Count| count.events * count.fee / count.exposure;
        (earned(cheap) > 0.0).then(|| earned(dear) / earned(cheap))
    }

    pub(super) fn told(&self) -> Value {
        let block = |count: Option<Count>| {
            count.map(|c| json!({ "events": c.events, "exposure_hours": c.exposure, "fee_ppm": c.fee }))
        };
        json!({
            "ended_at": self.at.to_string(),
            "first": block(self.first),
            "second": block(self.second),
            "dearer_earned_over_cheaper": self.dear_over_cheap().map(|ratio| (ratio * 1e3).round() / 1e3),
            "verdict": self.verdict,
            "moved_percent": ((self.moved.exp() - 1.0) * 1e3).round() / 10.0,
        })
    }
}

impl From<Row> for Pair {
    fn from((at, first, second, verdict, moved): Row) -> Pair {
        let count = |[events, exposure, fee]: [f64; 3]| Count { events, exposure, fee };
        Pair { at, first: first.map(count), second: second.map(count), verdict, moved }
    }
}

impl From<Pair> for Row {
    fn from(pair: Pair) -> Row {
        let row = |count: Count| [count.events, count.exposure, count.fee];
        (pair.at, pair.first.map(row), pair.second.map(row), pair.verdict, pair.moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Time = Time::from_secs(1_704_067_200);

    fn block(f: f64, n: f64) -> Option<Sample> {
        Some(Sample { at: END, n, e: 12.0, f, h: 12.0 })
    }

    #[test]
    fn a_pair_tells_what_came_of_it() {
        let too_dear = Surprise::Price { up: false };
        let cases = [
            (block(240.0, 10.0), block(160.0, 10.0), None, "learned", json!(1.5)),
            (block(160.0, 20.0), block(240.0, 10.0), None, "learned", json!(0.75)),
            (block(240.0, 40.0), block(160.0, 60.0), Some(Surprise::Market), "market_changed", json!(1.0)),
            (block(240.0, 0.0), block(160.0, 60.0), Some(too_dear), "too_dear", json!(0.0)),
            (block(240.0, 50.0), block(160.0, 9.0), Some(Surprise::Price { up: true }), "too_cheap", json!(8.333)),
            (block(240.0, 0.0), block(160.0, 0.0), None, "learned", Value::Null),
            (None, block(160.0, 9.0), None, "unseen", Value::Null),
        ];
        for (first, second, surprise, verdict, ratio) in cases {
            let told = Pair::new(END, first, second, surprise.as_ref()).told();
            assert_eq!((&told["verdict"], &told["dearer_earned_over_cheaper"]), (&json!(verdict), &ratio), "{told}");
            assert_eq!(told["first"].is_null(), first.is_none());
        }
    }

    #[test]
    fn a_pair_is_kept_short_and_read_back_as_it_was() {
        let pair = Pair { moved: -0.25, ..Pair::new(END, block(240.5, 10.0), None, None) };
        let kept = serde_json::to_string(&pair).unwrap();
        assert_eq!(kept, r#"[1704067200000,[10.0,12.0,240.5],null,"unseen",-0.25]"#);
        assert_eq!(serde_json::from_str::<Pair>(&kept).unwrap(), pair);
    }
}
