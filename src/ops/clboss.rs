//! CLBoss: what we take out of its hands, once and before we act, and what we give back. Whatever it answers, pricing goes on.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::Context;

use super::{Ops, OrderError};
use crate::domain::{PeerId, Time};
use crate::ledger::{PolicyChange, PolicyChangeKind, TagRow, TagState};
use crate::node::NodeError;
use crate::node::neighbours::Unmanaged;
use crate::options::Options;

/// Name of the note of peers that are ignored no longer.
const UNIGNORED: &str = "clboss_unignored";

/// CLBoss's words for what it manages.
pub(super) const FEES: &str = "lnfee";
pub(super) const BALANCE: &str = "balance";
/// What we ever take of it.
const TAKEN: [&str; 2] = [FEES, BALANCE];

/// What is known of CLBoss in this life.
#[derive(Default)]
pub(super) struct ClbossSight {
    /// The ledger's rows, once they have been read.
    rows: Option<Arc<BTreeMap<(PeerId, String), TagRow>>>,
    /// What CLBoss has been seen to leave alone since the start.
    settled: HashSet<(PeerId, &'static str)>,
    /// What CLBoss could not be told.
    problem: Option<String>,
    /// Peers that were ignored, and are no longer.
    pub(super) unignored: BTreeSet<PeerId>,
    /// The same as the ledger has them.
    noted: BTreeSet<PeerId>,
}

/// What `revenue-clboss-status` tells.
#[derive(Clone, Debug, PartialEq)]
pub struct ClbossReport {
    pub enabled: bool,
    /// What CLBoss leaves alone by its own account; `None`: it is not there.
    pub unmanaged: Option<BTreeMap<PeerId, BTreeSet<String>>>,
    /// Because of us.
    pub taken: Vec<TagRow>,
    /// Given back by an operator.
    pub returned: Vec<TagRow>,
    pub problem: Option<String>,
}

type Claim = (PeerId, &'static str);

impl Ops {
    /// Before fees are set: CLBoss leaves alone what is ours, as far as it is there and was not told yet. Never fails: what CLBoss was
    /// not told is a warning.
    pub(super) async fn take_from_clboss(&self, now: Time, options: &Options, claims: Vec<Claim>) {
        if !options.clboss_enabled || options.dry_run {
            return self.seen.change(|seen| seen.clboss.problem = None);
        }
        let problem = match self.settle_claims(now, claims).await {
            Ok(()) => None,
            Err(error) => {
                let text = format!(
                    "CLBoss could not be told what to leave alone ({error:#}); fees are set all the same, and CLBoss may set others"
                );
                tracing::warn!("{text}");
                Some(text)
            }
        };
        self.seen.change(|seen| seen.clboss.problem = problem);
    }

    /// Before balance is moved: from now on CLBoss moves none of these peers', as far as it is there. Nobody should begin otherwise, because
    /// two who move the same balance undo each other's work, and both pay.
    pub(super) async fn take_balance_from_clboss(
        &self,
        now: Time,
        options: &Options,
        peers: [PeerId; 2],
    ) -> anyhow::Result<()> {
        if !options.clboss_enabled {
            return Ok(());
        }
        let claims = peers.map(|peer| (peer, BALANCE)).to_vec();
        self.settle_claims(now, claims).await.context("CLBoss could not be told to leave the balance alone")
    }

    async fn settle_claims(&self, now: Time, mut claims: Vec<Claim>) -> anyhow::Result<()> {
        let rows = self.tag_rows().await?;
        let state = |claim: &Claim| rows.get(&(claim.0, claim.1.to_owned())).map(|row| row.state);
        self.seen.read(|seen| claims.retain(|claim| !seen.clboss.settled.contains(claim)));
        claims.retain(|claim| state(claim) != Some(TagState::Returned));
        if claims.is_empty() {
            return Ok(());
        }
        let Some(unmanaged) = self.neighbours.clboss_unmanaged().await? else { return Ok(()) };
        let is_left = |(peer, tag): &Claim| unmanaged.get(peer).is_some_and(|tags| tags.contains(*tag));
        let (settled, wanted): (Vec<Claim>, Vec<Claim>) = claims.into_iter().partition(is_left);
        self.seen.change(|seen| seen.clboss.settled.extend(settled));
        self.claim(now, &unmanaged, &wanted).await
    }

    /// Written down first: what CLBoss leaves alone must be known to be ours if we are stopped in between.
    async fn claim(&self, now: Time, unmanaged: &Unmanaged, wanted: &[Claim]) -> anyhow::Result<()> {
        let row = |(peer, tag): &Claim| TagRow { peer: *peer, tag: (*tag).to_owned(), state: TagState::Taken, at: now };
        self.record_tags(&wanted.iter().map(row).collect::<Vec<_>>(), &[]).await?;
        let mut by_peer: BTreeMap<PeerId, Vec<&'static str>> = BTreeMap::new();
        for (peer, tag) in wanted {
            by_peer.entry(*peer).or_default().push(tag);
        }
        let mut failure = None;
        for (peer, tags) in &by_peer {
            if matches!(failure, Some(NodeError::Unreachable { .. } | NodeError::Resting { .. })) {
                self.unclaim(*peer, tags).await?;
                continue;
            }
            // The list replaces the one before: what the user has set there stays.
            let mut all = unmanaged.get(peer).cloned().unwrap_or_default();
            all.extend(tags.iter().map(|tag| (*tag).to_owned()));
            match self.neighbours.clboss_unmanage(*peer, &all).await {
                Ok(()) => {
                    tracing::info!("CLBoss leaves {} of {peer} to us", tags.join(" and "));
                    self.seen.change(|seen| seen.clboss.settled.extend(tags.iter().map(|tag| (*peer, *tag))));
                }
                Err(error) => {
                    // An answer that was lost may have been a yes: the next look tells.
                    if !matches!(error, NodeError::Unreachable { .. }) {
                        self.unclaim(*peer, tags).await?;
                    }
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn unclaim(&self, peer: PeerId, tags: &[&'static str]) -> anyhow::Result<()> {
        let gone: Vec<(PeerId, String)> = tags.iter().map(|tag| (peer, (*tag).to_owned())).collect();
        self.record_tags(&[], &gone).await
    }

    async fn record_tags(&self, rows: &[TagRow], gone: &[(PeerId, String)]) -> anyhow::Result<()> {
        if rows.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.ledger.record_clboss_tags(rows, gone).await.context("noting what CLBoss leaves alone")?;
        self.seen.change(|seen| seen.clboss.rows = None);
        Ok(())
    }

    async fn tag_rows(&self) -> anyhow::Result<Arc<BTreeMap<(PeerId, String), TagRow>>> {
        if let Some(rows) = self.seen.read(|seen| seen.clboss.rows.clone()) {
            return Ok(rows);
        }
        let rows = self.ledger.clboss_tags().await.context("reading what CLBoss leaves alone")?;
        let rows = Arc::new(rows.into_iter().map(|row| ((row.peer, row.tag.clone()), row)).collect::<BTreeMap<_, _>>());
        self.seen.change(|seen| seen.clboss.rows = Some(rows.clone()));
        Ok(rows)
    }

    /// A new word on a peer's policy counts more than that something was given back before.
    pub(super) async fn reclaim(&self, changes: &[PolicyChange]) -> anyhow::Result<()> {
        let rows = self.tag_rows().await?;
        let set: HashSet<PeerId> = changes
            .iter()
            .filter(|change| change.kind == PolicyChangeKind::Set && change.policy.strategy.is_some())
            .map(|change| change.policy.peer)
            .collect();
        let returned = rows.values().filter(|row| row.state == TagState::Returned && set.contains(&row.peer));
        let gone: Vec<_> = returned.map(|row| (row.peer, row.tag.clone())).collect();
        self.record_tags(&[], &gone).await
    }

    /// Gives back to CLBoss what we took from it; all, or one tag. Answers the tags.
    pub async fn remanage(&self, peer: PeerId, tag: Option<&str>) -> Result<Vec<String>, OrderError> {
        if let Some(other) = tag.filter(|tag| !TAKEN.contains(tag)) {
            let text = format!("'tag' must be '{FEES}' or '{BALANCE}', which is all that we take, not '{other}'");
            return Err(OrderError::Caller(text));
        }
        let _turn = self.turn.lock().await;
        let rows = self.tag_rows().await?;
        let asked = |row: &&TagRow| row.peer == peer && tag.is_none_or(|tag| row.tag == tag);
        let taken: Vec<TagRow> = rows.values().filter(asked).filter(|r| r.state == TagState::Taken).cloned().collect();
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        self.give_back(peer, &taken).await?;
        let at = self.clock.now();
        let returned: Vec<_> = taken.iter().map(|r| TagRow { state: TagState::Returned, at, ..r.clone() }).collect();
        self.record_tags(&returned, &[]).await?;
        Ok(taken.into_iter().map(|row| row.tag).collect())
    }

    /// Gives back what only an ignore had taken, whatever ended it; whom CLBoss could not be told of waits for the next step.
    pub(super) async fn end_ignores(&self, options: &Options) {
        if options.dry_run || !options.clboss_enabled {
            return;
        }
        let waiting = self.seen.change(|seen| std::mem::take(&mut seen.clboss.unignored));
        if waiting.is_empty() {
            return;
        }
        for peer in waiting {
            if let Err(error) = self.end_ignore(peer).await {
                tracing::warn!(
                    "CLBoss goes on leaving the balance of {peer} alone for now, revenue-remanage gives it back: {error:#}"
                );
                self.seen.change(|seen| seen.clboss.unignored.insert(peer));
            }
        }
        if let Err(error) = self.note_unignored().await {
            tracing::warn!("{error:#}");
        }
    }

    /// Whom CLBoss has still to be told of is known after a restart as well.
    pub(super) async fn note_unignored(&self) -> anyhow::Result<()> {
        let (waiting, noted) = self.seen.read(|seen| (seen.clboss.unignored.clone(), seen.clboss.noted.clone()));
        if waiting != noted {
            self.ledger.save_note(self.clock.now(), UNIGNORED, &serde_json::to_string(&waiting)?).await?;
            self.seen.change(|seen| seen.clboss.noted = waiting);
        }
        Ok(())
    }

    pub(super) async fn recall_unignored(&self) -> anyhow::Result<()> {
        let Some(text) = self.ledger.note(UNIGNORED).await? else { return Ok(()) };
        let waiting: BTreeSet<PeerId> = serde_json::from_str(&text).context("reading who is ignored no longer")?;
        self.seen.change(|seen| {
            seen.clboss.noted.clone_from(&waiting);
            seen.clboss.unignored.extend(waiting);
        });
        Ok(())
    }

    async fn end_ignore(&self, peer: PeerId) -> anyhow::Result<()> {
        let rows = self.tag_rows().await?;
        let row = rows.get(&(peer, BALANCE.to_owned())).filter(|row| row.state == TagState::Taken).cloned();
        let Some(row) = row else { return Ok(()) };
        self.give_back(peer, &[row]).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        self.unclaim(peer, &[BALANCE]).await
    }

    async fn give_back(&self, peer: PeerId, taken: &[TagRow]) -> Result<(), OrderError> {
        let unmanaged = self.neighbours.clboss_unmanaged().await.context("asking CLBoss what it leaves alone")?;
        let unmanaged = unmanaged.ok_or_else(|| {
            OrderError::Caller("there is no CLBoss on this node; nothing can be given back to it".to_owned())
        })?;
        let mut left = unmanaged.get(&peer).cloned().unwrap_or_default();
        left.retain(|tag| !taken.iter().any(|row| row.tag == *tag));
        self.neighbours.clboss_unmanage(peer, &left).await.context("telling CLBoss")?;
        let ours: HashSet<&str> = taken.iter().map(|row| row.tag.as_str()).collect();
        self.seen.change(|seen| seen.clboss.settled.retain(|(id, tag)| *id != peer || !ours.contains(tag)));
        Ok(())
    }

    pub async fn clboss_report(&self) -> anyhow::Result<ClbossReport> {
        let rows = self.tag_rows().await?;
        let (taken, returned) = rows.values().cloned().partition(|row| row.state == TagState::Taken);
        let (unmanaged, unheard) = match self.neighbours.clboss_unmanaged().await {
            Ok(unmanaged) => (unmanaged.map(|all| all.into_iter().collect()), None),
            Err(error) => (None, Some(format!("CLBoss does not answer: {error}"))),
        };
        let problem = unheard.or_else(|| self.clboss_in_words());
        Ok(ClbossReport { enabled: self.settings.now().clboss_enabled, unmanaged, taken, returned, problem })
    }

    pub(super) fn clboss_in_words(&self) -> Option<String> {
        self.seen.read(|seen| seen.clboss.problem.clone())
    }
}
