//! Peers' own policies: kept at once, applied at once if no step is under way, and otherwise as soon as it is over. The one place where
//! the sources of a channel's policy meet.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;

use super::clboss::{BALANCE, FEES};
use super::rulings::Rulings;
use super::{FeeOutcome, Ops, OrderError};
use crate::domain::{Channel, ChannelId, NodeView, PeerId, Policy, Ppm, Pricing, Terms, Time};
use crate::ledger::{PolicyChange, PolicyChangeKind};
use crate::options::Options;
use crate::policy;
use crate::policy::peer::{self, Change, PeerPolicy, Refusal};

/// Changes that `revenue-policy changes` shows at once.
const MOST_SHOWN: u32 = 1_000;
/// Over so many seconds the changes of one peer are counted.
const MINUTE_SECS: i64 = 60;

/// The policies of peers that have one.
pub(super) type Policies = Arc<HashMap<PeerId, PeerPolicy>>;

/// Whose fees a step decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    All,
    /// Those whose policy has changed since they were decided.
    Changed,
}

/// The rules of one step: every source of policies, as of one moment.
pub(super) struct Rules {
    peers: Policies,
    /// The rule file's word.
    sections: Arc<Rulings>,
    hive_fee: Ppm,
    now: Time,
    /// What holds for most.
    default: Policy,
    /// `None`: all.
    only: Option<BTreeSet<PeerId>>,
}

/// What an operator, or cl-hive, wants of one peer's policy.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    Set(Change),
    Tag(String),
    Untag(String),
    /// With the reason.
    Ignore(String),
    /// Ends a policy that ignores the peer, and no other.
    Unignore,
    Delete,
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyAnswer {
    pub peer: PeerId,
    /// `None`: there is none (any more).
    pub policy: Option<PeerPolicy>,
    /// It was like that before.
    pub unchanged: bool,
}

impl Rules {
    pub(super) fn new(peers: Policies, options: &Options, now: Time) -> Rules {
        let hive_fee = Ppm(options.hive_fee_ppm);
        let default = policy::resolve(None, None, hive_fee);
        Rules { peers, sections: Arc::default(), hive_fee, now, default, only: None }
    }

    /// The same with what the rule file says.
    pub(super) fn with(self, sections: Arc<Rulings>) -> Rules {
        Rules { sections, ..self }
    }

    /// What may be done with a channel, from all sources, with the trail of who said so.
    pub(super) fn of(&self, channel: &Channel) -> Cow<'_, Policy> {
        match self.sections.of(&channel.channel_id) {
            None => self.of_peer(&channel.peer),
            ruled => {
                let own = peer::live(self.peers.get(&channel.peer), self.now);
                Cow::Owned(policy::resolve(own, ruled, self.hive_fee))
            }
        }
    }

    /// What is to be told of a channel besides the rate.
    pub(super) fn terms_of(&self, channel: &Channel) -> Terms {
        let policy = self.of(channel);
        if policy.pricing == Pricing::Untouched { Terms::default() } else { policy.terms }
    }

    /// The channels with one peer by what may be done with them. Those that the controller prices have one fee, and come first;
    /// rules may treat any of the others in its own way. Where nothing lies within the limits of all, those of the largest hold.
    pub(super) fn groups<'a>(&self, channels: &[&'a Channel]) -> Vec<(Cow<'_, Policy>, Vec<&'a Channel>)> {
        if matches!(*self.sections, Rulings::None) {
            return vec![(self.of_all(channels), channels.to_vec())];
        }
        let mut groups: Vec<(Cow<Policy>, Vec<&Channel>)> = Vec::new();
        let mut by_size = channels.to_vec();
        by_size.sort_by_key(|channel| (std::cmp::Reverse(channel.capacity), channel.channel_id));
        for channel in by_size {
            let policy = self.of(channel);
            let same = |(other, _): &&mut (Cow<Policy>, Vec<&Channel>)| match other.is_controlled() {
                true => policy.is_controlled(),
                false => (other.pricing, other.terms) == (policy.pricing, policy.terms),
            };
            match groups.iter_mut().find(same) {
                Some((held, group)) => {
                    group.push(channel);
                    // One fee for all of them lies within the limits of each, as far as there is such a fee.
                    let both = held.limits.both(&policy.limits).filter(|_| held.is_controlled());
                    if let Some(limits) = both.filter(|limits| *limits != held.limits) {
                        held.to_mut().limits = limits;
                    }
                }
                None => groups.push((policy, vec![channel])),
            }
        }
        groups.sort_by_key(|(policy, _)| !policy.is_controlled());
        groups
    }

    /// Channels that have another price than the first group of their peer, whom the controller learns of.
    pub(super) fn priced_apart(&self, view: &NodeView) -> HashSet<ChannelId> {
        if matches!(*self.sections, Rulings::None) {
            return HashSet::new();
        }
        let others = |channels: Vec<&Channel>| {
            let groups = self.groups(&channels).into_iter().skip(1);
            groups.flat_map(|(_, group)| group.into_iter().map(|c| c.channel_id)).collect::<Vec<_>>()
        };
        view.priced_by_peer().into_iter().flat_map(|(_, channels)| others(channels)).collect()
    }

    pub(super) fn of_peer(&self, peer: &PeerId) -> Cow<'_, Policy> {
        match peer::live(self.peers.get(peer), self.now) {
            None => Cow::Borrowed(&self.default),
            own => Cow::Owned(policy::resolve(own, None, self.hive_fee)),
        }
    }

    /// The policy by which the channels with one peer are priced together: that of the largest.
    pub(super) fn of_all(&self, channels: &[&Channel]) -> Cow<'_, Policy> {
        let of = |channel: &&Channel| (self.of(channel), channel.capacity);
        // Where rules differ, the controller's word is that of those that it prices.
        let first = channels.iter().map(of).max_by_key(|(policy, capacity)| (policy.is_controlled(), *capacity));
        first.map_or(Cow::Borrowed(&self.default), |(policy, _)| policy)
    }

    /// What CLBoss must leave alone because of this policy.
    pub(super) fn claims(&self, peer: PeerId, policy: &Policy) -> Vec<(PeerId, &'static str)> {
        let ignored = peer::live(self.peers.get(&peer), self.now).is_some_and(PeerPolicy::is_ignored);
        let tags: &[&str] = match (policy.is_priced(), ignored) {
            (_, true) => &[FEES, BALANCE],
            (true, false) => &[FEES],
            (false, false) => &[],
        };
        tags.iter().map(|tag| (peer, *tag)).collect()
    }

    /// Is there nobody to decide for?
    pub(super) fn is_idle(&self) -> bool {
        self.only.as_ref().is_some_and(BTreeSet::is_empty)
    }

    pub(super) fn concerns(&self, peer: &PeerId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(peer))
    }
}

impl Ops {
    /// At the start: what the ledger keeps. Also tells the timer when the next one expires.
    pub async fn load_policies(&self) -> anyhow::Result<()> {
        let policies = self.policies().await.context("reading the peers' policies")?;
        self.note_expiry(&policies);
        Ok(())
    }

    /// All policies that are in the ledger.
    pub(super) async fn policies(&self) -> anyhow::Result<Policies> {
        if let Some(policies) = self.seen.read(|seen| seen.policies.clone()) {
            return Ok(policies);
        }
        let rows = self.ledger.policies().await?;
        let policies = Arc::new(rows.into_iter().map(|policy| (policy.peer, policy)).collect());
        // Somebody may have changed one meanwhile: what is there is newer.
        Ok(self.seen.change(|seen| seen.policies.get_or_insert(policies).clone()))
    }

    /// The rules for a step that begins now; who has waited for it waits no longer.
    pub(super) async fn rules(&self, whom: Whom, options: &Options, now: Time) -> anyhow::Result<Rules> {
        self.policies().await?;
        let (peers, waiting) =
            self.seen.change(|seen| (seen.policies.clone().unwrap_or_default(), std::mem::take(&mut seen.unapplied)));
        let mut rules = Rules::new(peers, options, now);
        if whom == Whom::Changed {
            // A controller that has never read a forward decides nothing.
            let ready = self.read_until().await?.is_some();
            let decides = |peer: &PeerId| ready || rules.of_peer(peer).exact().is_some();
            rules.only = Some(waiting.into_iter().filter(decides).collect());
        }
        Ok(rules)
    }

    /// The rules as they are now, for a step that decides no fee: whoever waits for one goes on waiting.
    pub(super) async fn standing_rules(&self, view: &NodeView, options: &Options) -> anyhow::Result<Rules> {
        let rules = Rules::new(self.policies().await?, options, view.now);
        self.ruled(rules, view, options).await
    }

    /// Has the peer's policy changed since the step began that decided by it?
    pub(super) fn is_overruled(&self, peer: &PeerId) -> bool {
        self.seen.read(|seen| seen.unapplied.contains(peer))
    }

    /// Changes one peer's policy; kept when this answers, and applied by [`Ops::apply_policies`].
    pub async fn change_policy(&self, peer: PeerId, wish: Wish) -> Result<PolicyAnswer, OrderError> {
        let mut answers = self.write_policies(&[(peer, wish)], &|_, refusal| refusal.to_string()).await?;
        answers.pop().ok_or_else(|| OrderError::Broken(anyhow::anyhow!("no policy was written")))
    }

    /// Leaves a peer alone; what its policy said before waits.
    pub async fn ignore_peer(&self, peer: PeerId, reason: &str) -> Result<PolicyAnswer, OrderError> {
        self.change_policy(peer, Wish::Ignore(reason.to_owned())).await
    }

    /// Undoes that; no if the peer was not ignored.
    pub async fn unignore_peer(&self, peer: PeerId) -> Result<bool, OrderError> {
        Ok(!self.change_policy(peer, Wish::Unignore).await?.unchanged)
    }

    /// Changes many, all of them or none; an error names the entry, counted from 1.
    pub async fn change_policies(&self, changes: Vec<(PeerId, Change)>) -> Result<Vec<PolicyAnswer>, OrderError> {
        let wishes: Vec<_> = changes.into_iter().map(|(peer, change)| (peer, Wish::Set(change))).collect();
        self.write_policies(&wishes, &|entry, refusal| format!("entry {}: {refusal}", entry + 1)).await
    }

    async fn write_policies(
        &self,
        wishes: &[(PeerId, Wish)],
        told: &(dyn Fn(usize, &Refusal) -> String + Sync),
    ) -> Result<Vec<PolicyAnswer>, OrderError> {
        let _policing = self.policing.lock().await;
        let now = self.clock.now();
        self.expire(now).await?;
        let mut policies = (*self.policies().await?).clone();
        let (mut answers, mut changes) = (Vec::with_capacity(wishes.len()), Vec::new());
        for (entry, (peer, wish)) in wishes.iter().enumerate() {
            let before = policies.get(peer).cloned();
            let after = wanted(before.as_ref(), *peer, wish, now);
            let after = after.map_err(|refusal| OrderError::Caller(told(entry, &refusal)))?;
            answers.push(PolicyAnswer { peer: *peer, policy: after.clone(), unchanged: after == before });
            match (before, after) {
                (before, Some(after)) if before.as_ref() != Some(&after) => {
                    policies.insert(*peer, after.clone());
                    changes.push(PolicyChange { at: now, kind: PolicyChangeKind::Set, policy: after });
                }
                (Some(before), None) => {
                    policies.remove(peer);
                    changes.push(PolicyChange { at: now, kind: PolicyChangeKind::Deleted, policy: before });
                }
                _ => {}
            }
        }
        self.check_rate(&changes, now).await?;
        self.keep(policies, changes).await?;
        Ok(answers)
    }

    /// At most so many changes a minute and peer, also over restarts.
    async fn check_rate(&self, changes: &[PolicyChange], now: Time) -> Result<(), OrderError> {
        let mut counted: HashMap<PeerId, Vec<Time>> = HashMap::new();
        for change in changes {
            let peer = change.policy.peer;
            let times = match counted.entry(peer) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(self.ledger.policy_change_times(peer, now.plus_secs(-MINUTE_SECS)).await?)
                }
            };
            peer::may_change(times, now).map_err(|secs| {
                let most = peer::CHANGES_A_MINUTE;
                OrderError::TooOften(format!(
                    "the policy of {peer} was changed {most} times within a minute; nothing is changed now, try again in {secs} s"
                ))
            })?;
            times.push(now);
        }
        Ok(())
    }

    /// Into the ledger first: what is not kept is not in force.
    async fn keep(&self, policies: HashMap<PeerId, PeerPolicy>, changes: Vec<PolicyChange>) -> anyhow::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.ledger.change_policies(&changes).await.context("keeping the policies")?;
        for change in &changes {
            let PeerPolicy { peer, .. } = change.policy;
            match change.kind {
                PolicyChangeKind::Set => tracing::info!("policy of {peer}: {}", change.policy),
                PolicyChangeKind::Deleted => tracing::info!("policy of {peer} deleted: it was {}", change.policy),
                PolicyChangeKind::Expired => tracing::info!("policy of {peer} has expired: it was {}", change.policy),
            }
        }
        let policies = Arc::new(policies);
        let is_ignored = |all: &HashMap<PeerId, PeerPolicy>, peer| all.get(peer).is_some_and(PeerPolicy::is_ignored);
        self.seen.change(|seen| {
            for PolicyChange { policy: PeerPolicy { peer, .. }, .. } in &changes {
                let was_ignored = seen.policies.as_ref().is_some_and(|before| is_ignored(before, peer));
                match is_ignored(&policies, peer) {
                    true => seen.clboss.unignored.remove(peer),
                    false => was_ignored && seen.clboss.unignored.insert(*peer),
                };
            }
            seen.policies = Some(policies.clone());
            seen.unapplied.extend(changes.iter().map(|change| change.policy.peer));
        });
        self.note_expiry(&policies);
        self.reclaim(&changes).await
    }

    /// Takes away what has expired by now, for those who hold the lock on policies.
    async fn expire(&self, now: Time) -> anyhow::Result<usize> {
        let policies = self.policies().await?;
        let mut gone: Vec<_> = policies.values().filter(|policy| policy.is_expired(now)).cloned().collect();
        if gone.is_empty() {
            return Ok(0);
        }
        gone.sort_by_key(|policy| (policy.expires_at, policy.peer));
        let mut left = (*policies).clone();
        left.retain(|_, policy| !policy.is_expired(now));
        let change = |policy| PolicyChange { at: now, kind: PolicyChangeKind::Expired, policy };
        let count = gone.len();
        self.keep(left, gone.into_iter().map(change).collect()).await?;
        Ok(count)
    }

    /// Takes away what has expired by now; answers how many. Their channels wait for [`Ops::apply_policies`].
    pub async fn expire_policies(&self) -> anyhow::Result<usize> {
        let _policing = self.policing.lock().await;
        self.expire(self.clock.now()).await
    }

    /// When the next policy expires; changes are told.
    pub fn next_expiry(&self) -> tokio::sync::watch::Receiver<Option<Time>> {
        self.expiry.subscribe()
    }

    fn note_expiry(&self, policies: &Policies) {
        let next = policies.values().filter_map(|policy| policy.expires_at).min();
        self.expiry.send_if_modified(|known| std::mem::replace(known, next) != next);
    }

    /// Decides the fees of peers whose policy has changed, as soon as no other step is under way.
    pub async fn apply_policies(&self) -> anyhow::Result<Vec<FeeOutcome>> {
        if self.seen.read(|seen| seen.unapplied.is_empty()) {
            return Ok(Vec::new());
        }
        let _turn = self.turn.lock().await;
        self.fee_step(Whom::Changed).await
    }

    /// Does the word on some peers wait for a step?
    pub fn has_unapplied(&self) -> bool {
        self.seen.read(|seen| !seen.unapplied.is_empty())
    }

    /// What has expired is no more, and the channels follow at once.
    pub async fn end_policies(&self) -> anyhow::Result<Vec<FeeOutcome>> {
        self.expire_policies().await?;
        self.apply_policies().await
    }

    /// Peers' policies that are in force, in the order of their ids.
    pub async fn peer_policies(&self) -> anyhow::Result<Vec<PeerPolicy>> {
        let now = self.clock.now();
        let mut policies: Vec<_> = self.policies().await?.values().filter(|p| !p.is_expired(now)).cloned().collect();
        policies.sort_by_key(|policy| policy.peer);
        Ok(policies)
    }

    /// The peer's own policy, if it has one, and what follows for its channels.
    pub async fn policy_of(&self, peer: PeerId) -> anyhow::Result<(Option<PeerPolicy>, Policy)> {
        let (now, policies) = (self.clock.now(), self.policies().await?);
        let own = peer::live(policies.get(&peer), now).cloned();
        let rules = Rules::new(policies, &self.settings.now(), now);
        Ok((own, rules.of_peer(&peer).into_owned()))
    }

    /// What follows for one channel from all sources, the rule file as it spoke in the last step.
    pub(super) async fn policy_of_channel(&self, channel: &Channel) -> anyhow::Result<Policy> {
        let rules = Rules::new(self.policies().await?, &self.settings.now(), self.clock.now());
        Ok(rules.with(self.last_rulings()).of(channel).into_owned())
    }

    /// Changes from that time on, deletions too, oldest first.
    pub async fn policy_changes(&self, since: Time) -> anyhow::Result<Vec<PolicyChange>> {
        self.ledger.policy_changes(since, MOST_SHOWN).await
    }
}

fn wanted(before: Option<&PeerPolicy>, peer: PeerId, wish: &Wish, now: Time) -> Result<Option<PeerPolicy>, Refusal> {
    match wish {
        Wish::Set(change) => peer::changed(before, peer, change, now).map(Some),
        Wish::Tag(tag) => peer::tagged(before, peer, tag, now).map(Some),
        Wish::Untag(tag) => Ok(before.and_then(|before| peer::untagged(before, tag, now))),
        Wish::Ignore(reason) => peer::ignored(before, peer, reason, now).map(Some),
        Wish::Unignore => Ok(before.and_then(|before| peer::unignored(before, now))),
        Wish::Delete => Ok(None),
    }
}
