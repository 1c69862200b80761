//! `revenue-policy`: what holds for the channels with one peer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{Words, required};
use super::policy_shape::{self as shape, P, shown};
use super::{Answer, Args, Command, RpcError};
use crate::domain::{PeerId, Ppm, Time};
use crate::ops::{FeeOutcome, Ops, Wish};
use crate::policy::peer::{self, Change, MOST_IN_BATCH, MOST_PPM, Refusal};

/// How long an answer waits for the fees that follow from it. Who sets policies (cl-hive) gives up after seconds, and what is not applied
/// by then is applied as soon as the step that is under way is over.
const PATIENCE: Duration = Duration::from_millis(40);

/// What an entry of `batch` may hold.
const ENTRY: &str = "peer_id [strategy] [rebalance_mode|rebalance] [fee_ppm_target|fee_ppm] [tags] [fee_multiplier_min] \
                     [fee_multiplier_max] [expires_in_hours]";

pub(super) const COMMAND: Command = Command {
    name: "revenue-policy",
    usage: "action [peer_id] [strategy] [rebalance|rebalance_mode] [fee_ppm|fee_ppm_target] [tag] [since] [updates] [tags] \
            [fee_multiplier_min] [fee_multiplier_max] [expires_in_hours]",
    about: "Sets, shows and deletes what holds for all channels with one peer. A change is kept and applied at once, and holds over \
            restarts.",
    parameters: &[
        ("action", "`set`, `get`, `list`, `delete`, `tag`, `untag`, `find`, `changes`, `batch` or `suggest`."),
        ("peer_id", "Node id of the peer: for `set`, `get`, `delete`, `tag`, `untag`."),
        (
            "strategy",
            "`set`: `dynamic` (the controller finds the fee), `static` (exactly `fee_ppm`), `hive` (exactly the option \
             `revenue-ops-hive-fee-ppm`), `passive` (the fee is never touched). `static` and `hive` also hold outside `min_fee_ppm` to \
             `max_fee_ppm`.",
        ),
        (
            "rebalance",
            "`set`: `enabled`, `disabled`, `source_only` (may be drained, never filled), `sink_only` (may be filled, never drained). \
             Also called `rebalance_mode`.",
        ),
        (
            "fee_ppm",
            "`set`: the rate of strategy `static`, 0 to 100000; `none` takes it away. Also called `fee_ppm_target`.",
        ),
        (
            "tag",
            "`tag`, `untag`, `find`: one tag; it may also stand in the place after `peer_id`, or of it for `find`.",
        ),
        ("since", "`changes`: seconds since 1970; everything, if it is missing."),
        ("updates", "`batch`: a list of at most 100 objects with `peer_id` and what `set` takes."),
        ("tags", "`set`: all tags of the peer, as a list or with commas between them."),
        (
            "fee_multiplier_min",
            "`set`: the controller asks at least so many times the fee that was there when the bounds began to hold, 0.1 to 5; `none` \
             takes the bound away.",
        ),
        ("fee_multiplier_max", "`set`: the same, at most."),
        (
            "expires_in_hours",
            "`set`: the whole policy ends so many hours from now, at most 720 (30 days); `none` or 0: never.",
        ),
    ],
    example: "revenue-policy set 02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa strategy=static fee_ppm=100",
    answer: &[
        (
            "policy",
            "`set`, `get`: `peer_id`, `strategy`, `rebalance_mode`, `fee_ppm_target`, `tags[]`, `updated_at`, `fee_multiplier_min`, \
             `fee_multiplier_max`, `expires_at`, `is_expired`. A peer without a policy has the default. So have the rows of the other \
             lists.",
        ),
        ("status", "`set`, `delete`, `tag`, `untag`, `batch`: `success`; `noop` if there was nothing to delete."),
        ("message", "The same in words."),
        (
            "applied",
            "`set`, `delete`, `tag`, `untag`, `batch`: the channels' fees follow it already; otherwise as soon as the step that is \
             under way is over.",
        ),
        ("fees[]", "With `applied`: `channel_id`, `old_fee_ppm`, `new_fee_ppm`, `outcome` of fees that changed."),
        (
            "in_force",
            "`get`: what follows for the peer's channels from all sources: `pricing`, `fee_ppm`, `rebalance_mode`, limits, and `trail[]`, \
             which says for each `member` its `value` and the `source` that decided it.",
        ),
        ("policies[], count", "`list`: every policy; `batch`: those of its entries."),
        ("peer_id, tags[]", "`tag`, `untag`: the peer's tags now."),
        ("peers[], count, tag", "`find`: the policies with that tag."),
        (
            "changes[], count, since, last_change_timestamp",
            "`changes`: at or after `since`, oldest first, at most 1000; each with `change` (`set`, `deleted`, `expired`) and `deleted`.",
        ),
        ("updated", "`batch`: how many entries."),
        (
            "suggestions[], count",
            "`suggest`: `peer_id`, `channels[]`, `kind` (`bleeder`, `zombie`), `severity`, `reason`, `command` (what would apply it), and \
             the numbers of the last `window_days`; `rebalance_cost_sats` is `null` until the node's books have been read.",
        ),
        ("warning_*", "What of a policy has no effect now, and why."),
    ],
    refuses: &[
        "an unknown action, peer id, strategy or mode, a number out of range, and a parameter that does not belong to the action",
        "strategy `static` without a fee",
        "a batch of which one entry is refused, or that has a peer twice, as a whole; the error names the entry, counted from 1",
        "more than 10 changes a minute of one peer's policy (error 4003)",
    ],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

/// What each action takes beside its name.
const ACTIONS: Words = &[
    (
        "set",
        &[
            "peer_id",
            "strategy",
            "rebalance",
            "fee_ppm",
            "tags",
            "fee_multiplier_min",
            "fee_multiplier_max",
            "expires_in_hours",
        ],
    ),
    ("get", &["peer_id"]),
    ("list", &[]),
    ("delete", &["peer_id"]),
    ("tag", &["peer_id", "tag"]),
    ("untag", &["peer_id", "tag"]),
    ("find", &["tag"]),
    ("changes", &["since"]),
    ("batch", &["updates"]),
    ("suggest", &[]),
];

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let action = required("action", args.text("action")?)?;
    let args = placed(&action, args)?;
    match action.as_str() {
        "set" => set(&ops, &args).await,
        "get" => get(&ops, peer_of(&args)?).await,
        "list" => list(&ops).await,
        "delete" => delete(&ops, peer_of(&args)?).await,
        "tag" | "untag" => tag(&ops, &args, action == "tag").await,
        "find" => find(&ops, &required("tag", args.text("tag")?)?).await,
        "changes" => changes(&ops, args.number("since")?.unwrap_or(0.0)).await,
        "batch" => batch(&ops, &args).await,
        _ => suggest(&ops).await,
    }
}

/// The arguments, each in its place, and none that does not belong to the action.
fn placed(action: &str, mut args: Args) -> Result<Args, RpcError> {
    // By position the first free place is another's.
    match action {
        "tag" | "untag" => args.move_to("strategy", "tag"),
        "find" => args.move_to("peer_id", "tag"),
        "changes" => args.move_to("peer_id", "since"),
        "batch" => args.move_to("peer_id", "updates"),
        _ => {}
    }
    args.only(("action", "action"), action, ACTIONS)?;
    Ok(args)
}

pub(super) fn peer_of(args: &Args) -> Result<PeerId, RpcError> {
    let text = required("peer_id", args.text("peer_id")?)?;
    text.parse().map_err(|error| RpcError::caller(format!("'peer_id': {error}")))
}

/// What `set` and the entries of a batch ask for; the second name of each is the one in an entry.
fn change_of(args: &Args, [mode, fee]: [&str; 2]) -> Result<Change, RpcError> {
    let refused = |refusal: Refusal| RpcError::caller(refusal.to_string());
    let strategy = args.text("strategy")?.map(|text| text.parse()).transpose().map_err(refused)?;
    let rebalance = args.text(mode)?.map(|text| peer::rebalance_mode(&text)).transpose().map_err(refused)?;
    let tag = |tag: &Value| tag.as_str().map(str::to_owned).unwrap_or_else(|| tag.to_string());
    let expires = args.unless_none("expires_in_hours", Args::number)?;
    Ok(Change {
        strategy,
        rebalance,
        fee: args.unless_none(fee, |args, name| args.within(name, 0..=MOST_PPM))?.map(|fee| fee.map(Ppm)),
        tags: args.list("tags")?.map(|tags| tags.iter().map(tag).filter(|tag| !tag.is_empty()).collect()),
        multiplier_min: args.unless_none("fee_multiplier_min", Args::number)?,
        multiplier_max: args.unless_none("fee_multiplier_max", Args::number)?,
        expires_in_hours: expires.map(|hours| hours.unwrap_or(0.0)),
    })
}

async fn set(ops: &Arc<Ops>, args: &Args) -> Answer {
    let (peer, change) = (peer_of(args)?, change_of(args, ["rebalance", "fee_ppm"])?);
    let done = ops.change_policy(peer, Wish::Set(change)).await?;
    let mut answer =
        json!({ "status": "success", "policy": shown(&done, ops.now()), "message": shape::message(&done) });
    shape::advise(&mut answer, &done, &ops.settings().now());
    Ok(applied(ops, answer).await)
}

async fn get(ops: &Ops, peer: PeerId) -> Answer {
    let (own, policy) = ops.policy_of(peer).await?;
    let channels = shape::channels(ops, peer);
    Ok(
        json!({ "policy": P(peer, own.as_ref(), ops.now()), "in_force": shape::in_force(&policy), "channels": channels }),
    )
}

async fn list(ops: &Ops) -> Answer {
    let (now, policies) = (ops.now(), ops.peer_policies().await?);
    let rows: Vec<P> = policies.iter().map(|policy| P(policy.peer, Some(policy), now)).collect();
    Ok(json!({ "policies": rows, "count": policies.len() }))
}

async fn delete(ops: &Arc<Ops>, peer: PeerId) -> Answer {
    let done = ops.change_policy(peer, Wish::Delete).await?;
    if done.unchanged {
        return Ok(json!({ "status": "noop", "peer_id": peer, "message": format!("{peer} has no policy of its own") }));
    }
    let message = format!("the policy of {peer} is deleted; its channels follow the default");
    Ok(applied(ops, json!({ "status": "success", "peer_id": peer, "message": message })).await)
}

async fn tag(ops: &Arc<Ops>, args: &Args, add: bool) -> Answer {
    let (peer, tag) = (peer_of(args)?, required("tag", args.text("tag")?)?);
    let wish = if add { Wish::Tag(tag) } else { Wish::Untag(tag) };
    let done = ops.change_policy(peer, wish).await?;
    let tags = done.policy.map(|policy| policy.tags).unwrap_or_default();
    Ok(applied(ops, json!({ "status": "success", "peer_id": peer, "tags": tags })).await)
}

async fn find(ops: &Ops, tag: &str) -> Answer {
    let (now, policies) = (ops.now(), ops.peer_policies().await?);
    let found = policies.iter().filter(|policy| policy.tags.iter().any(|own| own == tag));
    let peers: Vec<P> = found.map(|policy| P(policy.peer, Some(policy), now)).collect();
    Ok(json!({ "count": peers.len(), "peers": peers, "tag": tag }))
}

async fn changes(ops: &Ops, since: f64) -> Answer {
    let since = Time::default().plus_hours(since / 3600.0);
    let changes = ops.policy_changes(since).await?;
    let rows: Vec<Value> = changes.iter().map(|change| shape::change(change, ops.now())).collect();
    Ok(json!({
        "changes": rows,
        "count": rows.len(),
        "since": since.secs(),
        "last_change_timestamp": changes.last().map(|change| change.at.secs()),
    }))
}

async fn batch(ops: &Arc<Ops>, args: &Args) -> Answer {
    let entries = required("updates", args.list("updates")?)?;
    if entries.len() > MOST_IN_BATCH {
        let text = format!("'updates' has {} entries, and at most {MOST_IN_BATCH} are changed at once", entries.len());
        return Err(RpcError::caller(text));
    }
    let read = |entry: &Value| {
        let args = Args::of(ENTRY, entry)?;
        Ok((peer_of(&args)?, change_of(&args, ["rebalance_mode", "fee_ppm_target"])?))
    };
    let named = |(number, entry): (usize, &Value)| {
        let told = |error: RpcError| RpcError { message: format!("entry {}: {}", number + 1, error.message), ..error };
        read(entry).map_err(told)
    };
    let wanted = entries.iter().enumerate().map(named).collect::<Result<Vec<_>, _>>()?;
    let peers: Vec<PeerId> = wanted.iter().map(|(peer, _)| *peer).collect();
    each_once(&peers)?;
    let done = ops.change_policies(wanted).await?;
    let policies: Vec<P> = done.iter().map(|answer| shown(answer, ops.now())).collect();
    let message = format!("{} policies are as asked", done.len());
    let answer = json!({ "status": "success", "updated": done.len(), "policies": policies, "message": message });
    Ok(applied(ops, answer).await)
}

/// What two entries want of one peer could not both hold.
fn each_once(peers: &[PeerId]) -> Result<(), RpcError> {
    let mut first: HashMap<PeerId, usize> = HashMap::new();
    for (place, peer) in peers.iter().enumerate() {
        if let Some(before) = first.insert(*peer, place) {
            let (number, before) = (place + 1, before + 1);
            let text = format!("entry {number}: {peer} is in entry {before} already; give each peer once");
            return Err(RpcError::caller(text));
        }
    }
    Ok(())
}

async fn suggest(ops: &Ops) -> Answer {
    let found = ops.suggestions().await?;
    let rows: Vec<Value> = found.iter().map(shape::suggestion).collect();
    Ok(json!({ "suggestions": rows, "count": rows.len(), "window_days": crate::policy::suggest::WINDOW_DAYS }))
}

/// The answer with what has become of the channels' fees by now. Applying goes on when the caller does not wait any longer.
pub(super) async fn applied(ops: &Arc<Ops>, mut answer: Value) -> Value {
    let own = ops.clone();
    let run = tokio::spawn(async move {
        own.apply_policies()
            .await
            .inspect_err(|error| tracing::warn!("policies wait for the next fee cycle: {error:#}"))
    });
    let done: Option<Vec<FeeOutcome>> = match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(Ok(outcomes))) => Some(outcomes),
        Ok(Ok(Err(error))) => {
            answer["warning_not_applied"] = json!(format!("kept, and tried again with the next fee cycle: {error:#}"));
            None
        }
        Ok(Err(_)) | Err(_) => None,
    };
    answer["applied"] = json!(done.is_some());
    answer["fees"] = shape::fees(&done.unwrap_or_default());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::PolicyAnswer;
    use crate::policy::peer::PeerPolicy;

    fn peer(byte: u8) -> PeerId {
        let mut id = [byte; 33];
        id[0] = 2;
        PeerId(id)
    }

    #[test]
    fn a_batch_has_each_peer_once() {
        assert_eq!(each_once(&[peer(1), peer(2)]), Ok(()));
        let twice = each_once(&[peer(1), peer(2), peer(1)]).unwrap_err().message;
        assert_eq!(twice, format!("entry 3: {} is in entry 1 already; give each peer once", peer(1)));
    }

    #[test]
    fn limits_of_a_fee_are_those_of_policies() {
        let args = Args::read("revenue-policy", COMMAND.usage, &json!(["set", "fee_ppm=-1"])).unwrap();
        let told = change_of(&args, ["rebalance", "fee_ppm"]).unwrap_err().message;
        assert_eq!(told, "'fee_ppm' must be a whole number from 0 to 100000, not '-1'");
    }

    /// The row of such a policy shows `dynamic`.
    #[test]
    fn a_policy_without_a_strategy_says_what_decides() {
        let change = Change { tags: Some(vec!["vip".to_owned()]), ..Change::default() };
        let policy: PeerPolicy = peer::changed(None, peer(1), &change, Time(0)).unwrap();
        let told = shape::message(&PolicyAnswer { peer: peer(1), policy: Some(policy), unchanged: false });
        let rest = "no strategy, tags vip ('dynamic', unless a rule says otherwise)";
        assert_eq!(told, format!("policy of {}: {rest}", peer(1)));
    }
}
