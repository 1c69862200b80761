//! Forwards from the node's list into the ledger, by pages. Never reads twice what is in the ledger already.

use anyhow::Context;

use super::{Ops, Unread};
use crate::domain::{Forward, ForwardIndex, Time};
use crate::node::{ForwardPage, NodeError};

/// Rows a page; the node answers such a page in a few milliseconds.
const PAGE: u64 = 1_000;
/// Rows that go into the ledger at once, to begin with: whoever stops us soon has not read in vain.
const AT_FIRST: usize = 5_000;
/// New rows at once in the end. A channel's rows lie together, so a batch writes about a page for every channel that brought a payment,
/// however many it brought: the more rows, the fewer pages a row.
const NEW_AT_ONCE: usize = 30_000;
/// Resolved rows at once. In a backfill they are all there already and nothing is written; but what is there is in memory meanwhile.
const RESOLVED_AT_ONCE: usize = AT_FIRST;
/// Old short channel ids that one catch-up asks the node about.
const NAMES_PER_SYNC: u32 = 50;
/// Forwards still in flight at the last look that one catch-up asks about again.
const UNRESOLVED_PER_SYNC: u32 = 20;

/// Name in the ledger of the moment up to which forwards have been read to the list's end.
const NOTE: &str = "forwards read until";

/// What one catch-up brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    pub pages: u64,
    pub new: u64,
    pub changed: u64,
}

impl Ops {
    /// Reads what the node has listed since the last time; some pages and their position are one transaction. Takes no
    /// turn: a first backfill may last minutes, and changes nothing but the ledger.
    pub async fn sync(&self) -> anyhow::Result<SyncReport> {
        let _reading = self.reading.lock().await;
        let began = self.clock.now();
        let report = match self.read_all().await {
            Ok(report) => report,
            Err(error) => {
                self.note_unread(began, &error).await;
                return Err(error);
            }
        };
        // Also for the next life: a start finds out what it knows even if the node does not tell it.
        self.ledger.save_note(began, NOTE, &began.0.to_string()).await.context("noting how far forwards are known")?;
        self.seen.change(|seen| (seen.caught_up, seen.read_until, seen.unread) = (true, Some(began), None));
        if report.pages > 10 {
            tracing::info!(
                "read {} new and {} resolved forwards in {} pages",
                report.new,
                report.changed,
                report.pages
            );
        }
        Ok(report)
    }

    async fn read_all(&self) -> anyhow::Result<SyncReport> {
        let mut report = SyncReport::default();
        self.note_channels_first().await.context("listing the channels")?;
        self.read_index(ForwardIndex::Created, &mut report).await.context("reading new forwards")?;
        self.read_index(ForwardIndex::Updated, &mut report).await.context("reading resolved forwards")?;
        self.read_unresolved(&mut report).await.context("reading forwards that were in flight")?;
        self.name_old_scids().await.context("finding the channels of old forwards")?;
        Ok(report)
    }

    /// Reads what is new before a step. That the node does not tell is no reason to stop, if its forwards have been read before:
    /// the step then goes on with what is known, and knows up to when that is.
    pub(super) async fn catch_up(&self) -> anyhow::Result<()> {
        let Err(error) = self.sync().await else { return Ok(()) };
        if error.downcast_ref::<NodeError>().is_none() {
            return Err(error);
        }
        match self.read_until().await? {
            Some(until) => {
                tracing::warn!("forwards are known up to {until} only, and the step goes on with these: {error:#}");
                Ok(())
            }
            None => {
                Err(error.context("nothing is decided before the node's forwards have been read for the first time"))
            }
        }
    }

    /// Up to when the node's forwards are known, now or from an earlier life; `None`: they have never been read to their end.
    pub(super) async fn read_until(&self) -> anyhow::Result<Option<Time>> {
        if let Some(until) = self.seen.read(|seen| seen.read_until) {
            return Ok(Some(until));
        }
        let note = self.ledger.note(NOTE).await.context("reading how far forwards are known")?;
        let until = note.map(|text| text.parse().map(Time)).transpose().context("how far forwards are known")?;
        self.seen.change(|seen| seen.read_until = seen.read_until.or(until));
        Ok(until)
    }

    async fn note_unread(&self, began: Time, error: &anyhow::Error) {
        // Whoever cannot read the ledger either says so himself.
        let until = self.read_until().await.unwrap_or_default();
        let not_asked = matches!(error.downcast_ref(), Some(NodeError::Resting { .. }));
        self.seen.change(|seen| {
            let since = seen.unread.as_ref().map_or(began, |unread| unread.since);
            // That it was not asked again is no news: what it was last asked in vain is.
            let before = seen.unread.take().filter(|_| not_asked).map(|unread| unread.why);
            let why = before.unwrap_or_else(|| format!("{error:#}"));
            seen.unread = Some(Unread { since, why, until });
        });
    }

    /// What it means that forwards cannot be read, while that is so.
    pub(super) fn unread_in_words(&self) -> Option<String> {
        let Unread { since, why, until } = self.seen.read(|seen| seen.unread.clone())?;
        let meanwhile = match until {
            Some(until) => format!(
                "they are known up to {until}, and as long as that is so nothing is learned of demand: fees follow \
                 congestion, balances, block space and your limits only"
            ),
            None => "they have never been read, and before that no fee is changed".to_owned(),
        };
        Some(format!("the node's forwards could not be read since {since} ({why}); {meanwhile}"))
    }

    async fn read_index(&self, index: ForwardIndex, report: &mut SyncReport) -> anyhow::Result<()> {
        let positions = self.ledger.positions().await?;
        let (mut read_to, most) = match index {
            ForwardIndex::Created => (positions.created, NEW_AT_ONCE),
            ForwardIndex::Updated => (positions.updated, RESOLVED_AT_ONCE),
        };
        let (mut batch, mut at_once) = (Vec::new(), AT_FIRST);
        loop {
            let page = self.node.forwards(ForwardPage { index, start: read_to + 1, limit: PAGE }).await;
            let last =
                page.iter().flatten().filter_map(|forward| place(forward, index)).max().filter(|at| *at > read_to);
            read_to = last.unwrap_or(read_to);
            let more = last.is_some() && page.as_ref().is_ok_and(|page| page.len() as u64 >= PAGE);
            let answer = page.map(|page| batch.extend(page));
            if !batch.is_empty() && (!more || batch.len() >= at_once) {
                let recorded = self.ledger.record_forwards(&batch, Some((index, read_to))).await?;
                report.new += recorded.new;
                report.changed += recorded.changed;
                batch.clear();
                at_once = most.min(at_once * 2);
            }
            match answer {
                // A node without this index lists everything by the other one.
                Err(NodeError::Unsupported { .. }) => return Ok(()),
                answer => answer?,
            }
            report.pages += 1;
            if !more {
                return Ok(());
            }
        }
    }

    /// A forward that we only know as offered may have failed locally while we were away: no index tells of that.
    async fn read_unresolved(&self, report: &mut SyncReport) -> anyhow::Result<()> {
        let before = self.now().plus_secs(-60);
        let after = self.seen.read(|seen| seen.asked_to);
        let unresolved = self.ledger.unresolved(before, after, UNRESOLVED_PER_SYNC).await?;
        // Some stay unresolved for ever, because the node has deleted them: they must not keep the others from their turn.
        let asked_to = unresolved.last().copied().filter(|_| unresolved.len() == UNRESOLVED_PER_SYNC as usize);
        self.seen.change(|seen| seen.asked_to = asked_to.unwrap_or_default());
        for start in unresolved {
            let page = ForwardPage { index: ForwardIndex::Created, start, limit: 1 };
            let rows = match self.node.forwards(page).await {
                Err(NodeError::Unsupported { .. }) => return Ok(()),
                rows => rows?,
            };
            let recorded = self.ledger.record_forwards(&rows, None).await?;
            report.changed += recorded.changed;
        }
        Ok(())
    }

    /// A splice changes the scid, and no list of the node says so; but it still knows the old one when asked. What it does
    /// not answer now is asked again the next time: names are no reason to stop.
    async fn name_old_scids(&self) -> anyhow::Result<()> {
        for scid in self.ledger.unknown_scids(NAMES_PER_SYNC).await? {
            match self.node.channel_of(scid).await {
                Ok(name) => self.ledger.name_scid(scid, name.as_ref()).await?,
                Err(NodeError::Unsupported { .. }) => self.ledger.name_scid(scid, None).await?,
                Err(error) => {
                    tracing::warn!("the channel of {scid} is not known yet: {error}");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Before the first forward the channels are noted: rows then need no moving when their channel turns out to be known.
    async fn note_channels_first(&self) -> anyhow::Result<()> {
        if self.ledger.positions().await?.created == 0 {
            let channels = self.node.channels().await?;
            self.ledger.note_channels(self.now(), &channels).await?;
        }
        Ok(())
    }
}

fn place(forward: &Forward, index: ForwardIndex) -> Option<u64> {
    match index {
        ForwardIndex::Created => forward.created_index,
        ForwardIndex::Updated => forward.updated_index,
    }
}
