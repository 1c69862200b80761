//! The books as an operator asks for them: one reading of sums and lives, put side by side with what the last step saw of the node. Reads
//! only, never the single forwards, and never waits for a turn.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;

use super::books::BooksSight;
use super::by_hand::scid_of;
use super::{Ops, OrderError, Reconciliation};
use crate::accounts::{
    Advice, AdviceInputs, Class, Profile, Roc, Spliced, Statement, Sums, Worth, advise, classify, return_on_capital,
};
use crate::domain::{Channel, ChannelId, Feerate, Flow, Msat, PeerId, Scid, Time};
use crate::ledger::Transfer;

/// Days of balances that are looked back on for the last that are known.
const LOOKED_BACK: i64 = 4_000;
/// Balances older than that are no longer what there is.
const STALE_HOURS: f64 = 3.0;

/// Everything that statements are made of, as of one moment.
pub struct BooksReport {
    pub now: Time,
    pub window_days: u64,
    /// The beginning of the window, to the hour.
    pub from: Time,
    /// Days of the window that there are books of.
    pub days: f64,
    pub window: Sums,
    pub lifetime: Sums,
    /// All channels that ever were, the best first.
    pub channels: Vec<ChannelBooks>,
    /// Where the money lay when it was last noted.
    pub worth: Option<(Time, Worth)>,
    pub feerate: Option<Feerate>,
    pub sight: BooksSight,
    /// Since the start the node's list of forwards has been read to its end.
    pub caught_up: bool,
}

/// One channel's part of it.
pub struct ChannelBooks {
    pub statement: Statement,
    pub window: Sums,
    pub class: Class,
    pub profile: Profile,
    /// As the last step saw it; `None`: the node lists it no more.
    pub seen: Option<Channel>,
    pub flow: Option<Flow>,
}

/// One day of the history, with or without balances.
pub struct DayReport {
    pub day: i64,
    pub sums: Sums,
    /// `None`: nobody looked on that day.
    pub noted: Option<(Time, Worth)>,
    /// Of the 30 days that end with it.
    pub roc: Option<Roc>,
}

/// What `revenue-report costs` needs besides: the same sums over three spans.
pub struct CostSpans {
    pub day: Sums,
    pub week: Sums,
    pub month: Sums,
    pub ever: Sums,
    /// How many of them cost us something.
    pub splices: u64,
    /// `None`: there is nobody who could tell.
    pub spliced: Option<Spliced>,
}

impl ChannelBooks {
    pub fn id(&self) -> ChannelId {
        self.statement.life.channel
    }

    /// How operators call it.
    pub fn name(&self) -> String {
        self.scid().map_or_else(|| self.id().to_string(), |scid| scid.to_string())
    }

    fn scid(&self) -> Option<Scid> {
        self.seen.as_ref().and_then(|seen| seen.scid).or(self.statement.life.scid)
    }

    /// Does the node still list it as open?
    pub fn is_open(&self) -> bool {
        self.seen.as_ref().is_some_and(Channel::routes)
    }

    /// It cost more to refill within the window than it earned and brought.
    pub fn bleeds(&self) -> bool {
        self.window.costs.rebalance > self.window.contribution()
    }
}

impl BooksReport {
    pub fn roc(&self) -> Option<Roc> {
        return_on_capital(self.window.net(), self.capacity(), self.days)
    }

    /// Of all channels that route.
    fn capacity(&self) -> u64 {
        let open = self.channels.iter().filter(|books| books.is_open());
        open.filter_map(|books| books.seen.as_ref()).map(|seen| seen.capacity.0).fold(0, u64::saturating_add)
    }

    /// `peer_splices`: whether the channel's peer takes splices.
    pub fn advice(&self, books: &ChannelBooks, peer_splices: Option<bool>) -> Advice {
        let local_share = books.seen.as_ref().map(Channel::local_share).unwrap_or_default();
        advise(&AdviceInputs {
            statement: books.statement.clone(),
            window: books.window,
            window_days: self.days,
            local_share,
            flow_ratio: books.flow.as_ref().map(|flow| flow.net),
            turnover: books.flow.as_ref().map(|flow| flow.turnover),
            peer_splices,
            sat_per_kvb: self.feerate.map(|rate| rate.sat_per_kvb),
            now: self.now,
        })
    }

    /// What an operator should know of these numbers: name of the field, and the sentence.
    pub fn warnings(&self) -> Vec<(&'static str, String)> {
        let mut warnings = Vec::new();
        if !self.caught_up {
            let why = "the node's forwards have not been read to the end since the start; revenue may be missing";
            warnings.push(("warning_forwards", why.to_owned()));
        }
        if !self.channels.iter().any(ChannelBooks::is_open) {
            warnings.push(("warning_channels", "the node has no channel that routes".to_owned()));
        }
        match (self.sight.read_at, self.sight.bookkeeper) {
            (None, _) => warnings.push((
                "warning_books",
                "the node's books have not been read since the start; costs are as of the last time".to_owned(),
            )),
            (Some(_), Some(false)) => warnings.push((
                "warning_bookkeeper",
                "the node has no bookkeeper; what openings, closings and splices cost is estimated".to_owned(),
            )),
            _ if !self.sight.errors.is_empty() => warnings.push(("warning_books", self.sight.errors.join("; "))),
            _ => {}
        }
        let stale = |at: &Time| self.now.hours_since(*at) > STALE_HOURS;
        match &self.worth {
            None => warnings.push(("warning_net_worth", "where the money lies has not been noted yet".to_owned())),
            Some((at, _)) if stale(at) => {
                warnings.push(("warning_net_worth", format!("where the money lies was last noted at {at}")));
            }
            Some((_, worth)) if worth.total().is_none() => warnings.push((
                "warning_net_worth",
                "the node did not say what is in its wallet; net worth is unknown".to_owned(),
            )),
            _ => {}
        }
        if self.days > 0.0 && self.days + 1.0 / 24.0 < self.window_days as f64 {
            let text = format!("the books begin {:.1} days ago; the window holds no more than that", self.days);
            warnings.push(("warning_window", text));
        }
        warnings
    }
}

impl Ops {
    /// The whole books, with a window of so many days.
    pub async fn books(&self, window_days: u64) -> anyhow::Result<BooksReport> {
        let now = self.now();
        let hours = i64::try_from(window_days.saturating_mul(24)).unwrap_or(i64::MAX / 3_600_000);
        let from = Time(now.hour().saturating_sub(hours).max(0).saturating_mul(3_600_000));
        let mut window = self.ledger.window(Some(from)).await.context("adding up the window")?;
        let mut lifetime = self.ledger.window(None).await.context("adding up all time")?;
        let lives = self.ledger.lives().await.context("reading the channels' lives")?;
        let (view, flows) = (self.last_view(), self.flows().await?);
        let listed = view.as_ref().map(|view| view.channels.as_slice()).unwrap_or_default();
        let mut seen: BTreeMap<ChannelId, &Channel> = listed.iter().map(|one| (one.channel_id, one)).collect();
        let mut channels: Vec<ChannelBooks> = lives
            .into_values()
            .map(|life| {
                let id = life.channel;
                let statement = Statement { life, lifetime: lifetime.channels.remove(&id).unwrap_or_default() };
                ChannelBooks {
                    class: classify(&statement, now),
                    profile: Profile::of(&statement.lifetime),
                    window: window.channels.remove(&id).unwrap_or_default(),
                    seen: seen.remove(&id).cloned(),
                    flow: flows.get(&id).map(|(_, flow)| flow.clone()),
                    statement,
                }
            })
            .collect();
        channels.sort_by_key(|books| (std::cmp::Reverse(books.statement.lifetime.net()), books.id()));
        let begun = self.ledger.first_day().await?.map(Time::start_of_day);
        let since = begun.map_or(now, |begun| begun.max(from));
        let day = now.day();
        let noted = self.ledger.days(day - LOOKED_BACK, day).await?;
        Ok(BooksReport {
            now,
            window_days,
            from,
            days: (now.hours_since(since) / 24.0).max(0.0),
            window: window.node,
            lifetime: lifetime.node,
            channels,
            worth: noted.into_values().next_back(),
            feerate: view.and_then(|view| view.feerate),
            sight: self.books_sight(),
            caught_up: self.seen.read(|seen| seen.caught_up),
        })
    }

    /// One channel's books by any of its names.
    pub async fn channel_books(&self, name: &str, window_days: u64) -> Result<(BooksReport, usize), OrderError> {
        let report = self.books(window_days).await?;
        let asked = scid_of(name);
        let by_name = |books: &ChannelBooks| {
            let alias = books.seen.as_ref().and_then(|seen| seen.alias);
            books.id().to_string() == name || (asked.is_some() && [books.scid(), alias].contains(&asked))
        };
        let at = match report.channels.iter().position(by_name) {
            Some(at) => at,
            None => {
                // An earlier short channel id, as a splice leaves it behind.
                let view = self.last_view().context("the node has not been looked at yet")?;
                let id = self.channel_by_name(&view, name).await?;
                report
                    .channels
                    .iter()
                    .position(|books| books.id() == id)
                    .ok_or_else(|| OrderError::Caller(format!("there are no books of a channel '{name}'")))?
            }
        };
        Ok((report, at))
    }

    /// Days in their order, `from` and `to` (counted from 1970) included; a day that nobody looked at has no balances.
    pub async fn day_reports(&self, from: i64, to: i64) -> anyhow::Result<Vec<DayReport>> {
        const ROC_DAYS: i64 = 30;
        let sums = self.ledger.day_series(from - ROC_DAYS, to).await.context("reading the days' sums")?;
        let noted = self.ledger.days(from, to).await.context("reading the days' balances")?;
        let first = self.ledger.first_day().await?.unwrap_or(from);
        let report = |day: i64| {
            let begin = first.max(day + 1 - ROC_DAYS);
            // A day before the books begin sums up nothing.
            let net = sums.range(begin.min(day)..=day).fold(0_i64, |net, (_, one)| net.saturating_add(one.net()));
            let noted = noted.get(&day).copied();
            let days = (day + 1 - begin).max(0) as f64;
            DayReport {
                day,
                sums: sums.get(&day).copied().unwrap_or_default(),
                roc: noted.and_then(|(_, worth)| return_on_capital(net, worth.capacity, days)),
                noted,
            }
        };
        Ok((from..=to).map(report).collect())
    }

    /// Costs of the last day, week and month, and of all time.
    pub async fn cost_spans(&self) -> anyhow::Result<CostSpans> {
        let now = self.now();
        let since = |days: f64| now.plus_hours(-24.0 * days);
        let (splices, estimated) = self.ledger.paid_splices().await?;
        let mut spliced = Spliced::default();
        self.ledger.lives().await?.values().filter_map(|life| life.spliced).for_each(|one| spliced.join(&one));
        let is_told = estimated == 0 && self.books_sight().bookkeeper != Some(false);
        Ok(CostSpans {
            day: self.ledger.window(Some(since(1.0))).await?.node,
            week: self.ledger.window(Some(since(7.0))).await?.node,
            month: self.ledger.window(Some(since(30.0))).await?.node,
            ever: self.ledger.window(None).await?.node,
            splices,
            spliced: is_told.then_some(spliced),
        })
    }

    /// Which peers take splices and which do not; who is not connected has not said.
    pub async fn splicers(&self) -> HashMap<PeerId, bool> {
        self.node.splicers().await.unwrap_or_else(|error| {
            tracing::warn!("which peers take splices is unknown: {error}");
            HashMap::new()
        })
    }

    /// The first day that there are books of, counted from 1970.
    pub async fn first_day(&self) -> anyhow::Result<Option<i64>> {
        self.ledger.first_day().await
    }

    /// Channels that the node has forgotten go into the archive of the books: (name, channel) of those that were news, and what went
    /// wrong.
    pub async fn archive_closed(&self) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        let _booking = self.booking.lock().await;
        let (news, errors) = match self.read_closed(self.now()).await {
            Ok(news) => (news, Vec::new()),
            Err(error) => (Vec::new(), vec![format!("{error:#}")]),
        };
        let lives = self.ledger.lives().await?;
        let name =
            |id: &ChannelId| lives.get(id).and_then(|life| life.scid).map_or(id.to_string(), |scid| scid.to_string());
        Ok((news.iter().map(name).collect(), errors))
    }

    /// What `revenue-status` tells of the books.
    pub async fn books_status(&self) -> anyhow::Result<(BooksSight, Option<Reconciliation>, u64)> {
        let waiting = self.ledger.to_ask(self.now(), u32::MAX).await?.len();
        Ok((self.books_sight(), self.reconciliation().await?, waiting as u64))
    }

    /// What is booked within a span of time, line by line, oldest first, each with the name of its channel if it is about one; from the
    /// line after the one that is given on.
    pub async fn journal(
        &self,
        (from, to): (Time, Time),
        after: Option<&(Time, String)>,
        limit: u32,
    ) -> anyhow::Result<Vec<(Transfer, Option<String>)>> {
        let (start, key) = match after {
            Some((at, key)) if *at >= from => (*at, key.as_str()),
            _ => (from, ""),
        };
        let lines = self.ledger.journal((start, to), key, limit).await?;
        let scids: HashMap<ChannelId, Scid> =
            self.ledger.lives().await?.into_iter().filter_map(|(id, life)| Some((id, life.scid?))).collect();
        let channel = |line: &Transfer| {
            let account = [&line.from, &line.to].into_iter().find_map(|name| name.strip_prefix("channel/"))?;
            let scid = account.parse().ok().and_then(|id| scids.get(&id));
            Some(scid.map_or_else(|| account.to_owned(), ToString::to_string))
        };
        Ok(lines
            .into_iter()
            .map(|line| {
                let name = channel(&line);
                (line, name)
            })
            .collect())
    }
}

/// What nobody tells at a node without a bookkeeper, in sat: opening, closure, splice.
pub fn estimates_sat() -> [u64; 3] {
    use super::books::{CLOSURE_ESTIMATE_SAT, OPENING_ESTIMATE_SAT, SPLICE_ESTIMATE_SAT};
    [OPENING_ESTIMATE_SAT, CLOSURE_ESTIMATE_SAT, SPLICE_ESTIMATE_SAT]
}

/// Whole satoshis, rounded down.
pub fn sats(msat: u64) -> u64 {
    Msat(msat).sat_floor().0
}
