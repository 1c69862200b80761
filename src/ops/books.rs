//! The books: what the node's own records say of coins goes into the ledger, each thing once. Only what is new is read: the records by
//! page, the bookkeeper's accounts one by one when something happened to a channel. It changes nothing but the ledger, and takes no turn.

use std::collections::HashMap;

use anyhow::Context;

use super::Ops;
use crate::accounts::{CostKind, Life};
use crate::domain::{Channel, ChannelId, ChannelState, Evidence, Msat, Side, Time};
use crate::ledger::{Estimate, LifeNews};
use crate::node::{NodeError, NodeEvent};

pub use super::day_close::{Difference, Reconciliation};

/// Rows a page.
const PAGE: u64 = 1_000;
/// Channels that the bookkeeper is asked about in one go.
const ASKED_AT_ONCE: u32 = 50;
/// A node without a record of coins says nothing of what is new: each account is read again after so long.
const READ_AGAIN_HOURS: f64 = 24.0;
/// After the bookkeeper did not answer.
const RETRY_HOURS: f64 = 1.0;

/// What nobody tells at a node without a bookkeeper, in sat: rather too much than too little.
pub(super) const OPENING_ESTIMATE_SAT: u64 = 5_000;
pub(super) const CLOSURE_ESTIMATE_SAT: u64 = 3_000;
pub(super) const SPLICE_ESTIMATE_SAT: u64 = 2_000;

/// What the last reading found. `None`: not read yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BooksSight {
    pub read_at: Option<Time>,
    /// The node keeps a record of coins.
    pub records: Option<bool>,
    /// There is a bookkeeper.
    pub bookkeeper: Option<bool>,
    /// What went wrong in the last reading.
    pub errors: Vec<String>,
    /// Transactions whose fees make no sense yet.
    pub odd: Vec<String>,
}

impl Ops {
    /// Reads what is new in the node's books, and notes where the money lies.
    pub async fn book_cycle(&self) -> anyhow::Result<()> {
        let _booking = self.booking.lock().await;
        let now = self.clock.now();
        let channels = self.node.channels().await.context("listing the channels")?;
        self.ledger.note_channels(now, &channels).await?;
        self.note_listed(now, &channels).await.context("noting the channels' lives")?;
        let mut sight = BooksSight { read_at: Some(now), ..BooksSight::default() };
        match self.read_coins(now).await {
            Ok(there) => sight.records = Some(there),
            Err(error) => sight.errors.push(format!("the node's record of coins: {error:#}")),
        }
        if let Err(error) = self.read_closed(now).await {
            sight.errors.push(format!("the list of closed channels: {error:#}"));
        }
        self.ask_bookkeeper(now, &mut sight).await.context("booking what the bookkeeper says")?;
        if sight.bookkeeper == Some(false) {
            self.estimate_costs(now).await.context("estimating costs")?;
        }
        self.close_day(now, &channels, &mut sight).await.context("noting the day")?;
        for error in &sight.errors {
            tracing::warn!("the books are read again later: {error}");
        }
        self.seen.change(|seen| seen.books = sight);
        Ok(())
    }

    /// What the last reading of the books found.
    pub fn books_sight(&self) -> BooksSight {
        self.seen.read(|seen| seen.books.clone())
    }

    /// A channel's state has changed: what that says of its life is written down. Yes if the books have to be read.
    pub async fn channel_noticed(&self, event: &NodeEvent) -> anyhow::Result<bool> {
        let NodeEvent::ChannelStateChanged { peer, channel_id, scid, old, new, cause, ending, at } = event else {
            return Ok(false);
        };
        let now = self.clock.now();
        let at = at.unwrap_or(now);
        let closing = *new == ChannelState::Closing;
        let routed = |state: &ChannelState| matches!(state, ChannelState::Normal | ChannelState::AwaitingSplice);
        let begins = closing && old.as_ref().is_some_and(routed);
        let news = LifeNews {
            peer: Some(*peer),
            scid: *scid,
            closer: super::hive::closer(cause.as_deref()).filter(|_| begins),
            cause: cause.clone().filter(|_| begins),
            opened_at: old.is_none().then_some(at),
            closing_at: closing.then_some(at),
            archived_at: ending.has(Evidence::RESOLVED).then_some(at),
            evidence: *ending,
            ask: true,
            ..LifeNews::default()
        };
        self.ledger.record_lives(now, &[(*channel_id, news)]).await?;
        if *old == Some(ChannelState::AwaitingSplice) && *new == ChannelState::Normal {
            self.splice_noticed(*channel_id, (scid.map(|scid| scid.to_string()), cause.as_deref()), at).await?;
        }
        Ok(true)
    }

    /// Without a bookkeeper nobody will ever tell what a splice of ours cost.
    async fn splice_noticed(
        &self,
        channel: ChannelId,
        (which, cause): (Option<String>, Option<&str>),
        at: Time,
    ) -> anyhow::Result<()> {
        if self.books_sight().bookkeeper != Some(false) || cause == Some("remote") {
            return Ok(());
        }
        let msat = Msat(SPLICE_ESTIMATE_SAT * 1000);
        let which = which.unwrap_or_default();
        self.ledger.record_estimates(&[Estimate { channel, kind: CostKind::Splice, which, msat, at }]).await
    }

    /// Only what is news is written.
    async fn note_listed(&self, now: Time, channels: &[Channel]) -> anyhow::Result<()> {
        let lives = self.ledger.lives().await?;
        let news = |channel: &Channel| {
            let mut news = LifeNews::listed(channel, now);
            let life = lives.get(&channel.channel_id).filter(|life| life.opener.is_some() || life.capacity.is_some());
            news.ask = life.is_none();
            let is_known = life.is_some_and(|life| {
                (news.scid.is_none() || life.scid == news.scid)
                    && (news.capacity.is_none() || life.capacity == news.capacity)
                    && (news.opener.is_none() || life.opener.is_some())
                    && (news.closing_at.is_none() || life.closing_at.is_some())
            });
            (!is_known).then_some((channel.channel_id, news))
        };
        let news: Vec<_> = channels.iter().filter_map(news).collect();
        self.ledger.record_lives(now, &news).await
    }

    /// No if the node keeps no record of coins.
    async fn read_coins(&self, now: Time) -> anyhow::Result<bool> {
        loop {
            let read_to = self.ledger.coin_positions().await?.chain;
            let page = match self.books.chain_moves(read_to + 1, PAGE).await {
                Err(NodeError::Unsupported { .. }) => return Ok(false),
                page => page?,
            };
            self.ledger.record_chain(now, &page).await?;
            if (page.len() as u64) < PAGE {
                break;
            }
        }
        loop {
            let read_to = self.ledger.coin_positions().await?.channel;
            let page = self.books.channel_moves(read_to + 1, PAGE).await?;
            if page.last.is_some() {
                self.ledger.record_payments(&page).await?;
            }
            if page.rows < PAGE {
                return Ok(true);
            }
        }
    }

    /// Channels that the node has forgotten, perhaps while we were not there. Answers those that were news.
    pub(super) async fn read_closed(&self, now: Time) -> anyhow::Result<Vec<ChannelId>> {
        let listed = match self.books.closed_channels().await {
            Err(NodeError::Unsupported { .. }) => return Ok(Vec::new()),
            listed => listed?,
        };
        let lives = self.ledger.lives().await?;
        let is_news = |channel: &ChannelId| {
            lives.get(channel).is_none_or(|life| life.archived_at.is_none() || life.capacity.is_none())
        };
        let news: Vec<_> = listed
            .iter()
            .filter(|closed| is_news(&closed.channel))
            .map(|closed| (closed.channel, LifeNews { ask: true, ..LifeNews::forgotten(closed, now) }))
            .collect();
        self.ledger.record_lives(now, &news).await?;
        Ok(news.into_iter().map(|(channel, _)| channel).collect())
    }

    async fn ask_bookkeeper(&self, now: Time, sight: &mut BooksSight) -> anyhow::Result<()> {
        // If nobody has to be asked, what was known of the bookkeeper still holds.
        sight.bookkeeper = self.books_sight().bookkeeper;
        loop {
            let due = self.ledger.to_ask(now, ASKED_AT_ONCE).await?;
            if due.is_empty() {
                return Ok(());
            }
            for channel in due {
                if !self.ask_of(now, channel, sight).await? {
                    return Ok(());
                }
            }
        }
    }

    /// One channel's account; no if there is no use in asking for others now.
    async fn ask_of(&self, now: Time, channel: ChannelId, sight: &mut BooksSight) -> anyhow::Result<bool> {
        let account = match self.books.account(channel).await {
            Ok(account) => account,
            Err(NodeError::Unsupported { .. }) => {
                sight.bookkeeper = Some(false);
                return Ok(false);
            }
            Err(error) => {
                sight.errors.push(format!("the bookkeeper's account of channel {channel}: {error}"));
                // It may be this account only that it cannot tell: the others have their turn.
                self.ledger.ask_later(channel, now.plus_hours(RETRY_HOURS)).await?;
                return Ok(!matches!(error, NodeError::Resting { .. } | NodeError::Unreachable { .. }));
            }
        };
        sight.bookkeeper = Some(true);
        let odd = self.ledger.record_account(now, channel, account.as_ref()).await?;
        sight.odd.extend(odd.iter().map(|txid| format!("{txid} of channel {channel}")));
        if sight.records == Some(false) {
            self.ledger.ask_later(channel, now.plus_hours(READ_AGAIN_HOURS)).await?;
        }
        Ok(true)
    }

    /// Whoever opened a channel pays for its opening and for the transaction that ends it.
    async fn estimate_costs(&self, now: Time) -> anyhow::Result<()> {
        let (lives, fees) = (self.ledger.lives().await?, self.ledger.last_fees().await?);
        let estimates: Vec<Estimate> = lives
            .values()
            .filter(|life| life.opener == Some(Side::Local))
            .flat_map(|life| guesses(life, &fees, now))
            .collect();
        self.ledger.record_estimates(&estimates).await
    }
}

fn guesses(life: &Life, fees: &HashMap<ChannelId, Msat>, now: Time) -> Vec<Estimate> {
    let guess = |kind, msat, at: Option<Time>| Estimate {
        channel: life.channel,
        kind,
        which: String::new(),
        msat,
        at: at.unwrap_or(now),
    };
    let opening = guess(CostKind::Opening, Msat(OPENING_ESTIMATE_SAT * 1000), life.opened_at);
    let fee = fees.get(&life.channel).copied().unwrap_or(Msat(CLOSURE_ESTIMATE_SAT * 1000));
    let closure = life.is_closed().then(|| guess(CostKind::Closure, fee, life.closing_at));
    std::iter::once(opening).chain(closure).collect()
}
