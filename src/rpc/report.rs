//! `revenue-report`: one part of the books at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Words;
use super::books_shape::{line, profitability, sums, warn};
use super::dashboard::{balances, health, period};
use super::policy_shape::P;
use super::profitability::of_peer;
use super::snapshots::day;
use super::{Answer, Args, Command, RpcError};
use crate::accounts::{CostKind, Sums};
use crate::domain::{PeerId, RebalanceMode, Time};
use crate::ops::{CostSpans, Ops, estimates_sat, sats};
use crate::policy::peer::{PeerPolicy, Strategy};

const WINDOW_DAYS: u64 = 30;
/// Lines of the journal in one answer.
const MOST_LINES: u32 = 10_000;

pub(super) const COMMAND: Command = Command {
    name: "revenue-report",
    usage: "[report_type] [peer_id] [from] [to] [after] [limit]",
    about: "Reports on one thing: the node, a peer, the hive, policies, costs, or the journal.",
    parameters: &[
        ("report_type", "`summary` (without it), `peer`, `hive`, `policies`, `costs` or `journal`."),
        ("peer_id", "`peer`: the peer's node id."),
        ("from", "`journal`: the first day, as for `revenue-snapshots`; 30 days without it."),
        ("to", "`journal`: the last day; today without it."),
        ("after", "`journal`: the `next` of the answer before, for the lines that follow."),
        ("limit", "`journal`: lines in one answer, at most 10,000."),
    ],
    example: "revenue-report peer 02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    answer: &[
        ("type", "Which report it is."),
        ("generated_at", "When this was answered."),
        (
            "policies",
            "`summary`: `total`, `by_strategy`, `by_rebalance_mode`; also as `total`, `by_strategy`, `by_rebalance_mode`, `by_tag` of \
             `policies`.",
        ),
        (
            "financial_health, period, balances, channels",
            "`summary`: as in `revenue-dashboard`, over 30 days; `channels`: `open` and `closed`.",
        ),
        (
            "peer_id, policy, profitability, flow_state, channels[]",
            "`peer`: its own policy (the default if it has none), its channels' books together (`null`: no channel ever) and one by one as \
             in `revenue-profitability`, and the flow of its largest channel.",
        ),
        ("peers[], count", "`hive`: the policies with strategy `hive`."),
        (
            "opening_costs, closure_costs, splice_costs, rebalance_costs",
            "`costs`: `last_24h_sats`, `last_7d_sats`, `last_30d_sats`, `total_sats`; of splices also `summary`: `splice_count` (those that cost us \
             something), `total_fees_sats`, `splice_in_count`, `splice_out_count`, `total_splice_in_sats`, `total_splice_out_sats` (what our \
             side of the channels grew and shrank by; `null`: the node has no bookkeeper).",
        ),
        (
            "estimated_defaults",
            "`costs`: what is taken for an opening, a close and a splice at a node without a bookkeeper.",
        ),
        (
            "entries[]",
            "`journal`: `time`, `timestamp`, `channel_id` (`null`: of no channel), `from_account`, `to_account`, `amount_msat`, `memo`, `key`, \
             oldest first.",
        ),
        ("count, next", "`journal`: lines in this answer, and where the next one begins (`null`: this is all)."),
        ("warning_*", "What is missing from these numbers, and why."),
    ],
    refuses: &[
        "an unknown report, `peer` without a node id, and a parameter that does not belong to the report",
        "an `after` that no answer has told, and a `limit` above 10,000",
    ],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

/// What each report takes beside its name.
const REPORTS: Words = &[
    ("summary", &[]),
    ("peer", &["peer_id"]),
    ("hive", &[]),
    ("policies", &[]),
    ("costs", &[]),
    ("journal", &["from", "to", "after", "limit"]),
];

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let kind = args.text("report_type")?.unwrap_or_else(|| "summary".to_owned());
    args.only(("report_type", "report"), &kind, REPORTS)?;
    let mut answer = match kind.as_str() {
        "summary" => summary(&ops).await?,
        "peer" => peer(&ops, &args).await?,
        "hive" => hive(&ops).await?,
        "policies" => policies(&ops).await?,
        "costs" => costs(&ops.cost_spans().await?),
        _ => journal(&ops, &args).await?,
    };
    answer["type"] = json!(kind);
    answer["generated_at"] = json!(ops.now().secs());
    Ok(answer)
}

async fn summary(ops: &Ops) -> Answer {
    let (report, all) = (ops.books(WINDOW_DAYS).await?, ops.peer_policies().await?);
    let open = report.channels.iter().filter(|books| books.is_open()).count();
    let closed = report.channels.iter().filter(|books| books.statement.life.is_closed()).count();
    let mut answer = json!({
        "policies": counted(&all),
        "financial_health": health(&report),
        "period": period(&report),
        "balances": balances(&report),
        "channels": { "open": open, "closed": closed },
    });
    warn(&mut answer, &report);
    Ok(answer)
}

async fn peer(ops: &Ops, args: &Args) -> Answer {
    let text = args.text("peer_id")?.ok_or_else(|| RpcError::caller("report 'peer' needs 'peer_id'"))?;
    let id: PeerId = text.parse().map_err(|error| RpcError::caller(format!("{error}")))?;
    let (policy, _) = ops.policy_of(id).await?;
    let report = ops.books(WINDOW_DAYS).await?;
    let channels = of_peer(&report, id);
    let (mut all, mut window) = (Sums::default(), Sums::default());
    for books in &channels {
        all.join(&books.statement.lifetime);
        window.join(&books.window);
    }
    let together = (!channels.is_empty()).then(|| {
        let mut together = sums(&all);
        together["window"] = sums(&window);
        together["channels"] = channels.iter().map(|books| line(books, &report)).collect::<Vec<_>>().into();
        together
    });
    let largest = channels.iter().filter(|books| books.is_open()).max_by_key(|b| b.seen.as_ref().map(|c| c.capacity));
    let flow = largest.and_then(|books| Some((books.name(), books.flow.as_ref()?)));
    let mut answer = json!({
        "peer_id": id,
        "policy": P(id, policy.as_ref(), report.now),
        "profitability": together,
        "flow_state": flow.map(|(name, flow)| json!({
            "channel_id": name,
            "state": flow.class.name(),
            "flow_ratio": super::rounded(flow.net),
            "sats_in": flow.in_msat.sat_floor(),
            "sats_out": flow.out_msat.sat_floor(),
            "forward_count": flow.forwards,
        })),
        "channels": channels
            .iter()
            .map(|books| json!({ "channel_id": books.name(), "profitability": profitability(books, &report) }))
            .collect::<Vec<_>>(),
    });
    warn(&mut answer, &report);
    Ok(answer)
}

async fn hive(ops: &Ops) -> Answer {
    let all = ops.peer_policies().await?;
    let now = ops.now();
    let peers: Vec<P> = all
        .iter()
        .filter(|policy| policy.strategy == Some(Strategy::Hive))
        .map(|policy| P(policy.peer, Some(policy), now))
        .collect();
    Ok(json!({ "peers": peers, "count": peers.len() }))
}

async fn policies(ops: &Ops) -> Answer {
    let all = ops.peer_policies().await?;
    let mut answer = counted(&all);
    let mut tags: BTreeMap<&str, u64> = BTreeMap::new();
    for tag in all.iter().flat_map(|policy| &policy.tags) {
        *tags.entry(tag.as_str()).or_default() += 1;
    }
    answer["by_tag"] = json!(tags);
    Ok(answer)
}

fn counted(all: &[PeerPolicy]) -> Value {
    let (mut strategies, mut modes): (BTreeMap<&str, u64>, BTreeMap<&str, u64>) = Default::default();
    for policy in all {
        *strategies.entry(policy.strategy.unwrap_or(Strategy::Dynamic).name()).or_default() += 1;
        *modes.entry(policy.rebalance.unwrap_or(RebalanceMode::Enabled).name()).or_default() += 1;
    }
    json!({ "total": all.len(), "by_strategy": strategies, "by_rebalance_mode": modes })
}

fn costs(spans: &CostSpans) -> Value {
    let of = |kind: CostKind| {
        let sat = |sums: &Sums| sats(sums.costs.of(kind));
        json!({
            "last_24h_sats": sat(&spans.day),
            "last_7d_sats": sat(&spans.week),
            "last_30d_sats": sat(&spans.month),
            "total_sats": sat(&spans.ever),
        })
    };
    let [open, close, splice] = estimates_sat();
    let mut answer = json!({
        "opening_costs": of(CostKind::Opening),
        "closure_costs": of(CostKind::Closure),
        "splice_costs": of(CostKind::Splice),
        "rebalance_costs": of(CostKind::Rebalance),
        "estimated_defaults": { "channel_open_sats": open, "channel_close_sats": close, "splice_sats": splice },
    });
    let spliced = spans.spliced;
    answer["splice_costs"]["summary"] = json!({
        "splice_count": spans.splices,
        "splice_in_count": spliced.map(|s| s.in_count),
        "splice_out_count": spliced.map(|s| s.out_count),
        "total_splice_in_sats": spliced.map(|s| sats(s.in_msat)),
        "total_splice_out_sats": spliced.map(|s| sats(s.out_msat)),
        "total_fees_sats": sats(spans.ever.costs.splice),
    });
    answer
}

async fn journal(ops: &Ops, args: &Args) -> Answer {
    let today = ops.now().day();
    let to = day(args, "to", today)?.unwrap_or(today);
    let from = day(args, "from", today)?.unwrap_or(to - 29);
    let start = Time::start_of_day(from);
    let end = Time(Time::start_of_day(to + 1).0 - 1);
    let after = args.text("after")?.map(|text| place(&text)).transpose()?;
    let limit = args.within("limit", 1..=MOST_LINES)?.unwrap_or(MOST_LINES);
    // One more than is shown, to know whether there are more.
    let mut lines = ops.journal((start, end), after.as_ref(), limit + 1).await?;
    let more = lines.len() as u64 > u64::from(limit);
    if more {
        lines.pop();
    }
    let entry = |(line, channel): &(crate::ops::Transfer, Option<String>)| {
        json!({
            "time": line.at.to_string(),
            "timestamp": line.at.secs(),
            "channel_id": channel,
            "from_account": line.from,
            "to_account": line.to,
            "amount_msat": line.amount,
            "memo": line.memo,
            "key": line.key,
        })
    };
    let next = lines.last().filter(|_| more).map(|(line, _)| format!("{}/{}", line.at.0, line.key));
    let mut answer =
        json!({ "entries": lines.iter().map(entry).collect::<Vec<_>>(), "count": lines.len(), "next": next });
    if more {
        let text = "there are more entries: give the value of 'next' as 'after' for those; at a terminal --format csv fetches them all";
        answer["warning_more"] = json!(text);
    }
    Ok(answer)
}

/// Where a page of the journal ended: the time and the key of its last line.
fn place(text: &str) -> Result<(Time, String), RpcError> {
    let parts = text.split_once('/').and_then(|(at, key)| Some((Time(at.parse().ok()?), key.to_owned())));
    parts.ok_or_else(|| RpcError::caller(format!("'after' must be the 'next' of an earlier answer, not '{text}'")))
}
