//! `revenue-capacity-report`: where more money would earn, and where it is wasted. Advice with its numbers; nothing is done.

use std::sync::Arc;

use serde_json::{Value, json};

use super::books_shape::warn;
use super::{Answer, Args, Command, rounded};
use crate::accounts::channel::{marginal_roi_percent, roi_percent};
use crate::accounts::{Advice, sat_floor};
use crate::ops::{BooksReport, ChannelBooks, Ops, sats};

const WINDOW_DAYS: u64 = 30;
/// Above so many sat a virtual byte one waits with what need not be today.
const DEAR_SAT_PER_KVB: u64 = 100_000;

pub(super) const COMMAND: Command = Command {
    name: "revenue-capacity-report",
    usage: "",
    about: "Says which channels deserve more capacity and which none, with the numbers and today's on-chain cost.",
    parameters: &[],
    example: "revenue-capacity-report",
    answer: &[
        ("timestamp", "When this was answered."),
        ("mempool_recommendation", "`PROCEED`, `HOLD` (block space is dear today) or `UNKNOWN`, with the reason."),
        ("sat_per_vbyte", "Today's price of block space; `null`: the node cannot say."),
        (
            "winners[]",
            "Channels to enlarge: `scid`, `peer_id`, `roi` (percent), `marginal_roi`, `flow_ratio`, `turnover` (share of the capacity a day), \
             `capacity` (sat), `peer_supports_splice` (`null`: a peer that is not connected does not say), `advice`, `splice_cost_sats` or, with a \
             peer that takes no splices, `opening_cost_sats` (today; `null`: unknown), `pays_for_itself_in_days`.",
        ),
        (
            "losers[]",
            "Channels to close: `scid`, `peer_id`, `reason`, `roi`, `marginal_roi`, `classification`, `capacity`, \
             `estimated_closure_cost_sats` (today; `null`: unknown), `action` (`CLOSE`).",
        ),
        (
            "channels[]",
            "All open channels: `scid`, `peer_id`, `advice` (`splice`, `open` a second one because the peer takes no splices, `close`, `keep`), `why`, `roi`, `net_profit_sats`, `turnover`, \
             `days_active`.",
        ),
        ("recommendations[]", "What to do in sentences: each winner with the loser whose money it could use."),
        ("warning_*", "What is missing from these numbers, and why."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let (report, splicers) = (ops.books(WINDOW_DAYS).await?, ops.splicers().await);
    let takes = |books: &ChannelBooks| books.statement.life.peer.and_then(|peer| splicers.get(&peer).copied());
    let open = report.channels.iter().filter(|books| books.is_open());
    let advised: Vec<(&ChannelBooks, Advice)> = open.map(|books| (books, report.advice(books, takes(books)))).collect();
    let (mut winners, mut losers) = (Vec::new(), Vec::new());
    for (books, advice) in &advised {
        match advice {
            Advice::Splice { .. } | Advice::Open { .. } => winners.push((*books, advice)),
            Advice::Close { .. } => losers.push((*books, advice)),
            Advice::Keep { .. } => {}
        }
    }
    let by_roi = |books: &ChannelBooks| roi_percent(&books.statement.lifetime);
    winners.sort_by(|a, b| by_roi(b.0).total_cmp(&by_roi(a.0)));
    losers.sort_by_key(|(books, _)| std::cmp::Reverse(capacity(books)));
    let mut answer = json!({
        "timestamp": report.now.secs(),
        "mempool_recommendation": mempool(&report),
        "sat_per_vbyte": report.feerate.map(|rate| rounded(rate.sat_per_kvb as f64 / 1000.0)),
        "winners": winners.iter().map(|(books, advice)| winner(books, advice, takes(books))).collect::<Vec<_>>(),
        "losers": losers.iter().map(|(books, advice)| loser(books, advice)).collect::<Vec<_>>(),
        "channels": advised.iter().map(|(books, advice)| channel(&report, books, advice)).collect::<Vec<_>>(),
        "recommendations": recommendations(&winners, &losers),
    });
    warn(&mut answer, &report);
    Ok(answer)
}

fn capacity(books: &ChannelBooks) -> u64 {
    books.seen.as_ref().map_or(0, |seen| seen.capacity.sat_floor().0)
}

fn mempool(report: &BooksReport) -> String {
    match report.feerate {
        None => "UNKNOWN: the node cannot say what block space costs".to_owned(),
        Some(rate) if rate.sat_per_kvb > DEAR_SAT_PER_KVB => {
            format!("HOLD: block space costs {} sat/vB today; wait with what can wait", rate.sat_per_kvb / 1000)
        }
        Some(rate) => format!("PROCEED: block space costs {} sat/vB today", rounded(rate.sat_per_kvb as f64 / 1000.0)),
    }
}

fn winner(books: &ChannelBooks, advice: &Advice, takes_splices: Option<bool>) -> Value {
    let (splice, opening, days) = match advice {
        Advice::Splice { cost_sat, pays_in_days } => (*cost_sat, None, *pays_in_days),
        Advice::Open { cost_sat, pays_in_days } => (None, *cost_sat, *pays_in_days),
        _ => (None, None, None),
    };
    json!({
        "scid": books.name(),
        "peer_id": books.statement.life.peer,
        "roi": rounded(roi_percent(&books.statement.lifetime)),
        "marginal_roi": rounded(marginal_roi_percent(&books.statement.lifetime)),
        "flow_ratio": books.flow.as_ref().map(|flow| rounded(flow.net)),
        "turnover": books.flow.as_ref().map(|flow| rounded(flow.turnover)),
        "capacity": capacity(books),
        "peer_supports_splice": takes_splices,
        "advice": advice.name(),
        "splice_cost_sats": splice,
        "opening_cost_sats": opening,
        "pays_for_itself_in_days": days.map(rounded),
    })
}

fn loser(books: &ChannelBooks, advice: &Advice) -> Value {
    let (cost, why) = match advice {
        Advice::Close { cost_sat, why } => (*cost_sat, *why),
        _ => (None, ""),
    };
    json!({
        "scid": books.name(),
        "peer_id": books.statement.life.peer,
        "reason": why,
        "roi": rounded(roi_percent(&books.statement.lifetime)),
        "marginal_roi": rounded(marginal_roi_percent(&books.statement.lifetime)),
        "classification": books.class.name(),
        "capacity": capacity(books),
        "estimated_closure_cost_sats": cost,
        "action": "CLOSE",
    })
}

fn channel(report: &BooksReport, books: &ChannelBooks, advice: &Advice) -> Value {
    let why = match advice {
        Advice::Splice { .. } => "it earns more than its capacity can carry",
        Advice::Open { .. } => "it earns more than its capacity can carry, and the peer takes no splices",
        Advice::Close { why, .. } | Advice::Keep { why } => why,
    };
    json!({
        "scid": books.name(),
        "peer_id": books.statement.life.peer,
        "advice": advice.name(),
        "why": why,
        "roi": rounded(roi_percent(&books.statement.lifetime)),
        "net_profit_sats": sat_floor(books.statement.lifetime.net()),
        "revenue_sats": sats(books.statement.lifetime.earned),
        "turnover": books.flow.as_ref().map(|flow| rounded(flow.turnover)),
        "days_active": books.statement.life.days_open(report.now).map(rounded),
    })
}

/// One loser's money for one winner.
fn recommendations(winners: &[(&ChannelBooks, &Advice)], losers: &[(&ChannelBooks, &Advice)]) -> Vec<String> {
    let mut texts = Vec::new();
    for (n, (winner, advice)) in winners.iter().enumerate() {
        let (alone, with_its_money, cost) = match advice {
            Advice::Open { cost_sat, .. } => {
                ("Open a second channel beside", "open with its money a second channel beside", cost_sat)
            }
            Advice::Splice { cost_sat, .. } => ("Splice more into", "splice its money into", cost_sat),
            _ => continue,
        };
        let cost = cost.map_or_else(|| "an unknown amount".to_owned(), |cost| format!("about {cost} sat"));
        let winner = winner.name();
        texts.push(match losers.get(n) {
            Some((loser, _)) => format!(
                "Close {} ({} sat) and {with_its_money} {winner}: besides the close that costs {cost} today.",
                loser.name(),
                capacity(loser),
            ),
            None => format!("{alone} {winner}: that costs {cost} today."),
        });
    }
    for (loser, advice) in losers.iter().skip(winners.len()) {
        if let Advice::Close { why, .. } = advice {
            texts.push(format!("Close {} ({} sat): {why}.", loser.name(), capacity(loser)));
        }
    }
    texts
}
