//! The node's list of forwards, with the two counters by which it is paged.

use std::collections::VecDeque;

use crate::domain::ForwardIndex;
use crate::domain::{Forward, ForwardKey, ForwardStatus, Msat, Scid, Time};
use crate::node::ForwardPage;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub created: u64,
    /// 0 until it is settled or failed downstream; for ever, if we failed it ourselves.
    pub updated: u64,
    pub in_channel: Scid,
    pub in_htlc: u64,
    pub out_channel: Scid,
    /// Absent if we failed it ourselves.
    pub out: Option<Outgoing>,
    pub in_msat: u64,
    pub status: ForwardStatus,
    /// 0 unless we failed it ourselves.
    pub failcode: u32,
    pub received: Time,
    pub resolved: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub htlc: u64,
    pub msat: u64,
}

impl Entry {
    /// What we earned or would have earned.
    pub fn fee(&self) -> Option<u64> {
        self.out.map(|out| self.in_msat - out.msat)
    }
}

/// Forwards in the order of their making. Old ones can be dropped; the counters go on.
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: VecDeque<Entry>,
    /// Created index of the first entry that is still here.
    first: u64,
    /// `resolved[i]` is the created index of the forward with updated index `i + first_resolved`.
    resolved: VecDeque<u64>,
    first_resolved: u64,
    dropped: u64,
}

impl Book {
    pub fn new() -> Book {
        Book { first: 1, first_resolved: 1, ..Book::default() }
    }

    /// The counter of forwards made.
    pub fn created(&self) -> u64 {
        self.first - 1 + self.entries.len() as u64
    }

    /// The counter of forwards resolved.
    pub fn updated(&self) -> u64 {
        self.first_resolved - 1 + self.resolved.len() as u64
    }

    /// The counter of forwards dropped.
    pub fn deleted(&self) -> u64 {
        self.dropped
    }

    /// Enters a forward and answers its index.
    pub fn enter(&mut self, mut entry: Entry) -> u64 {
        entry.created = self.created() + 1;
        let created = entry.created;
        self.entries.push_back(entry);
        created
    }

    pub fn resolve(&mut self, created: u64, status: ForwardStatus, at: Time) -> Option<&Entry> {
        let updated = self.updated() + 1;
        let entry = created.checked_sub(self.first).and_then(|i| self.entries.get_mut(usize::try_from(i).ok()?))?;
        entry.status = status;
        entry.resolved = Some(at);
        entry.updated = updated;
        self.resolved.push_back(created);
        Some(entry)
    }

    pub fn get(&self, created: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(created.checked_sub(self.first)?).ok()?)
    }

    pub fn by_updated(&self, updated: u64) -> Option<&Entry> {
        let place = usize::try_from(updated.checked_sub(self.first_resolved)?).ok()?;
        self.get(*self.resolved.get(place)?)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// All that have an index of at least `start`, in the order of that index.
    pub fn from_index(&self, index: ForwardIndex, start: u64) -> Box<dyn Iterator<Item = &Entry> + '_> {
        let skip = |first: u64| usize::try_from(start.saturating_sub(first)).unwrap_or(usize::MAX);
        match index {
            ForwardIndex::Created => {
                let skipped = skip(self.first).min(self.entries.len());
                Box::new(self.entries.range(skipped..))
            }
            ForwardIndex::Updated => {
                let skipped = skip(self.first_resolved).min(self.resolved.len());
                Box::new(self.resolved.range(skipped..).filter_map(|created| self.get(*created)))
            }
        }
    }

    pub fn page(&self, page: ForwardPage) -> Vec<Forward> {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        self.from_index(page.index, page.start).take(limit).map(Forward::from).collect()
    }

    /// Drops finished forwards received before that time, oldest first, up to the first that is not finished.
    pub fn prune(&mut self, before: Time) {
        while self.entries.front().is_some_and(|e| e.received < before && e.status.is_final()) {
            self.entries.pop_front();
            self.first += 1;
            self.dropped += 1;
        }
        while self.resolved.front().is_some_and(|created| *created < self.first) {
            self.resolved.pop_front();
            self.first_resolved += 1;
        }
    }
}

impl From<&Entry> for Forward {
    fn from(entry: &Entry) -> Forward {
        Forward {
            key: ForwardKey { in_channel: entry.in_channel, in_htlc_id: entry.in_htlc },
            out_channel: Some(entry.out_channel),
            in_msat: Msat(entry.in_msat),
            out_msat: entry.out.map(|out| Msat(out.msat)),
            fee: entry.fee().map(Msat),
            status: entry.status,
            failcode: (entry.failcode > 0).then_some(entry.failcode),
            received: entry.received,
            resolved: entry.resolved,
            created_index: Some(entry.created),
            updated_index: (entry.updated > 0).then_some(entry.updated),
        }
    }
}
