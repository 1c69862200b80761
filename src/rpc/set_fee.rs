//! `revenue-set-fee`: one channel's fee, by hand.

use std::sync::Arc;

use serde_json::{Value, json};

use super::args::required;
use super::{Answer, Args, Command};
use crate::domain::Ppm;
use crate::ops::{Ops, SetFeeAnswer};

pub(super) const COMMAND: Command = Command {
    name: "revenue-set-fee",
    usage: "channel_id fee_ppm [force]",
    about: "Sets the outbound fee rate of a channel by hand; pricing goes on from there.",
    parameters: &[
        (
            "channel_id",
            "Short channel id (an earlier one too, after a splice), alias, channel id, or the node id of the peer.",
        ),
        ("fee_ppm", "The fee rate in parts per million."),
        ("force", "Allow a rate outside `min_fee_ppm` to `max_fee_ppm`."),
    ],
    example: "revenue-set-fee 800000x12x1 250",
    answer: &[
        ("status", "`success`: the node says that the fee is in force (or `dry_run` is true)."),
        ("success", "true."),
        ("channel", "The channel as it was asked for."),
        ("channel_id", "Its short channel id."),
        ("fee_ppm, new_fee_ppm", "The rate in force: in a dry run still the one before."),
        ("asked_fee_ppm", "The rate that was asked for."),
        ("old_fee_ppm", "The rate before."),
        (
            "together_with[]",
            "Other channels with the same peer; they got the same rate, because payments take any of them.",
        ),
        ("dry_run", "Nothing was sent to the node."),
        ("message", "The same in words."),
        ("warning_together", "Only if other channels changed as well."),
        ("warning_dry_run", "Only if nothing was sent."),
    ],
    refuses: &[
        "a channel that the node does not know, or that does not route",
        "a rate outside the limits without `force`",
    ],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let channel = required("channel_id", args.text("channel_id")?)?;
    let fee = Ppm(required("fee_ppm", args.whole("fee_ppm")?)?);
    let force = args.flag("force")?;
    Ok(shape(&channel, &ops.set_fee(&channel, fee, force).await?))
}

fn shape(asked: &str, set: &SetFeeAnswer) -> Value {
    let name = set.scid.map_or_else(|| set.channel.to_string(), |scid| scid.to_string());
    let in_force = if set.dry { set.old } else { set.new };
    let verb = if set.dry { "would go" } else { "went" };
    let mut answer = json!({
        "status": "success",
        "success": true,
        "channel": asked,
        "channel_id": name,
        "fee_ppm": in_force,
        "new_fee_ppm": in_force,
        "asked_fee_ppm": set.new,
        "old_fee_ppm": set.old,
        "together_with": set.together_with,
        "dry_run": set.dry,
        "message": format!("the fee of {name} {verb} from {} to {}", set.old, set.new),
    });
    if !set.together_with.is_empty() {
        let others = set.together_with.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        answer["warning_together"] = json!(format!("{others} with the same peer got the same fee"));
    }
    if set.dry {
        answer["warning_dry_run"] = json!("dry-run is on: nothing was sent to the node");
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChannelId, Scid};

    #[test]
    fn advice_is_given_only_where_there_is_any() {
        let mut set = SetFeeAnswer {
            channel: ChannelId([7; 32]),
            scid: Some(Scid(0)),
            old: Ppm(10),
            new: Ppm(20),
            dry: false,
            together_with: vec![],
        };
        let plain = shape("0x0x0", &set);
        assert_eq!(plain["message"], "the fee of 0x0x0 went from 10 ppm to 20 ppm");
        assert_eq!((plain.get("warning_together"), plain.get("warning_dry_run")), (None, None));
        set.dry = true;
        set.together_with = vec![Scid(1)];
        let advised = shape("0x0x0", &set);
        assert_eq!(advised["warning_together"], "0x0x1 with the same peer got the same fee");
        assert_eq!((&plain["new_fee_ppm"], &plain["asked_fee_ppm"]), (&json!(20), &json!(20)));
        assert_eq!((&advised["new_fee_ppm"], &advised["asked_fee_ppm"]), (&json!(10), &json!(20)));
        assert_eq!(advised["message"], "the fee of 0x0x0 would go from 10 ppm to 20 ppm");
    }
}
