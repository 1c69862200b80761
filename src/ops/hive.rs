//! What cl-hive is told: channels that were opened and closed, with what we know of them. What we do not know is left out.

use super::Ops;
use crate::accounts::return_on_capital;
use crate::domain::{Channel, ChannelId, ChannelState, Msat, PeerId, Scid, Side};
use crate::node::NodeEvent;
use crate::node::neighbours::{HiveNews, HivePast};

/// What is told is of the whole life; the books want a window besides.
const WINDOW_DAYS: u64 = 1;

impl Ops {
    /// Tells cl-hive of an opening or a closing, if that is what happened and it is there. Holds up nobody: whoever calls this does not
    /// wait for it.
    pub async fn tell_hive(&self, event: &NodeEvent) -> anyhow::Result<()> {
        let NodeEvent::ChannelStateChanged { peer, channel_id, scid, old, new, cause, .. } = event else {
            return Ok(());
        };
        let options = self.settings.now();
        if options.hive_enabled == "false" || options.dry_run {
            return Ok(());
        }
        let routed = |state: &ChannelState| matches!(state, ChannelState::Normal | ChannelState::AwaitingSplice);
        let routed_before = old.as_ref().is_some_and(routed);
        let news = match new {
            ChannelState::Normal if !routed_before => self.opened(*peer, *channel_id, *scid).await,
            ChannelState::Closing if routed_before => {
                self.closed((*peer, *channel_id, *scid), closer(cause.as_deref())).await?
            }
            _ => return Ok(()),
        };
        match self.neighbours.tell_hive(&news).await? {
            true => tracing::info!("cl-hive was told of channel {channel_id}"),
            false if options.hive_enabled == "true" => {
                tracing::warn!("hive-enabled is true, but there is no cl-hive to tell of channel {channel_id}");
            }
            false => {}
        }
        Ok(())
    }

    async fn opened(&self, peer: PeerId, channel: ChannelId, scid: Option<Scid>) -> HiveNews {
        let seen = self.channel_now(channel).await;
        HiveNews::Opened {
            peer,
            channel,
            scid: scid.or(seen.as_ref().and_then(|seen| seen.scid)),
            opener: seen.as_ref().and_then(|seen| seen.opener),
            capacity: seen.as_ref().map(|seen| seen.capacity),
        }
    }

    async fn closed(
        &self,
        (peer, channel, scid): (PeerId, ChannelId, Option<Scid>),
        closer: Option<Side>,
    ) -> anyhow::Result<HiveNews> {
        let seen = self.channel_now(channel).await;
        // The same that revenue-profitability shows.
        let report = self.books(WINDOW_DAYS).await?;
        let books = report.channels.iter().find(|books| books.id() == channel).map(|books| &books.statement);
        let sums = books.map(|books| books.lifetime);
        let capacity = seen.as_ref().map(|seen| seen.capacity);
        let days = books.and_then(|books| books.life.days_open(report.now));
        let roc = sums.zip(days).and_then(|(sums, days)| return_on_capital(sums.net(), capacity?.0, days));
        let past = HivePast {
            capacity,
            close_type: books.and_then(|books| books.life.close_type),
            days,
            revenue: sums.map(|sums| Msat(sums.earned)),
            rebalance_cost: sums.map(|sums| Msat(sums.costs.rebalance)),
            net_msat: sums.map(|sums| sums.net()),
            annualised_roc: roc.map(|roc| roc.annualised),
            forwards: sums.map(|sums| sums.forwards()),
            volume: sums.map(|sums| Msat(sums.out_msat.saturating_add(sums.in_msat))),
            our_fee: seen.as_ref().map(|seen| seen.ours.ppm),
            their_fee: seen.as_ref().and_then(|seen| seen.theirs).map(|theirs| theirs.ppm),
        };
        Ok(HiveNews::Closed { peer, channel, scid: scid.or(seen.and_then(|seen| seen.scid)), closer, past })
    }

    /// The channel as the node lists it, or as the last step saw it.
    async fn channel_now(&self, id: ChannelId) -> Option<Channel> {
        let listed = self.node.channels().await.unwrap_or_default();
        let found = listed.into_iter().find(|channel| channel.channel_id == id);
        found.or_else(|| self.last_view()?.channels.iter().find(|channel| channel.channel_id == id).cloned())
    }
}

/// Who closed it, if the cause says so.
pub(super) fn closer(cause: Option<&str>) -> Option<Side> {
    match cause? {
        "user" | "local" => Some(Side::Local),
        "remote" => Some(Side::Remote),
        _ => None,
    }
}
