//! The steps: look, decide, act, remember. Everything that changes the world goes through here, one step at a time.

mod books;
mod by_hand;
mod clboss;
mod day_close;
mod fee_cycle;
mod flow_cycle;
mod hive;
mod jobs;
mod moves;
mod notice;
mod plan;
mod policies;
mod publish;
mod rebalance_cycle;
mod reports;
mod routes;
mod rule_book;
mod rulings;
mod settings;
mod statements;
mod suggestions;
mod sync;
mod trials;
mod vegas;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use tokio::sync::{Mutex, watch};

pub use books::{BooksSight, Difference, Reconciliation};
pub use by_hand::{OrderError, SetFeeAnswer, WakeAnswer};
pub use clboss::ClbossReport;
pub use fee_cycle::tuning;
pub use jobs::{Job, JobReport, Jobs};
pub use moves::{MoveDifference, Witness};
pub use policies::{PolicyAnswer, Wish};
pub use publish::FeeOutcome;
pub use rebalance_cycle::{Begun, Cleared, HandOrder, Presence, RebalanceReport};
pub use reports::{
    AnalysisReport, Breaker, ChannelReport, FeeDebugReport, FeeLine, FeeReport, StatusReport, below_target,
};
pub use rule_book::{RuleBook, RuleCheck, Tested};
pub use settings::{SettingChange, SettingRow, Settings};
pub use statements::{BooksReport, ChannelBooks, CostSpans, DayReport, estimates_sat, sats};
pub use suggestions::SuggestionReport;
pub use sync::SyncReport;

use crate::domain::{Chain, ChannelId, Clock, Flow, GraphPeer, Identity, Msat, NodeView, PeerId, Time};
use crate::fees::{Memory, Plan};
use crate::ledger::Ledger;
pub use crate::ledger::{
    LedgerCheck, MoveEnd, MoveRow, MoveState, NewMove, PolicyChange, PolicyChangeKind, TagRow, Transfer,
};
use crate::node::books::{Books, NoBooks};
use crate::node::neighbours::{Alone, Neighbours};
use crate::node::{Node, Rebalancer};
use crate::options::Options;

/// The one handle to everything: doors hold it as `Arc<Ops>`.
pub struct Ops {
    pub(crate) identity: Identity,
    node: Arc<dyn Node>,
    /// `None`: this node has nobody who moves liquidity.
    rebalancer: Option<Arc<dyn Rebalancer>>,
    neighbours: Arc<dyn Neighbours>,
    books: Arc<dyn Books>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    settings: Settings,
    jobs: Jobs,
    /// Whoever changes the world holds it for the whole step; reads do not need it.
    turn: Mutex<()>,
    /// Held while the node's list of forwards is read, so that nobody reads it twice at a time.
    reading: Mutex<()>,
    /// Held from reading the peers' policies to keeping what becomes of them. Nobody who holds it waits for the turn.
    policing: Mutex<()>,
    /// Held while the node's books are read.
    booking: Mutex<()>,
    /// When the next policy expires.
    expiry: watch::Sender<Option<Time>>,
    seen: Seen,
}

/// Each channel's flow, and when it was analysed.
type Flows = Arc<HashMap<ChannelId, (Time, Flow)>>;

/// Caches: gone with the process, made again by the next step.
#[derive(Default)]
struct Seen(std::sync::Mutex<Sights>);

#[derive(Default)]
struct Sights {
    view: Option<Arc<NodeView>>,
    check: Option<Arc<LedgerCheck>>,
    /// The last flow analysis, once a step has read or made it.
    flows: Option<Flows>,
    /// What the ledger holds, once a step has recorded it; absent while one records.
    memories: Option<Arc<HashMap<PeerId, Memory>>>,
    /// The peers' policies, once they have been read.
    policies: Option<policies::Policies>,
    /// Peers whose policy has changed since their fees were decided.
    unapplied: BTreeSet<PeerId>,
    /// The rule file as it was read last.
    rules: Option<Arc<RuleBook>>,
    /// The one by which all channels were decided last.
    rules_applied: Option<Arc<RuleBook>>,
    /// What it said of each channel in the last step.
    rulings: Arc<rulings::Rulings>,
    /// The chain as the node told it last.
    chain: Option<Chain>,
    /// Peers in the public graph, and when they were looked up there.
    graph: HashMap<PeerId, (Time, Arc<GraphPeer>)>,
    /// What openings cost; `None`: the node has no record of it.
    costs: HashMap<ChannelId, Option<Msat>>,
    /// Changes on trial, once they have been read.
    trials: Option<trials::Trials>,
    /// Rates as they were last seen, once they have been read.
    rates: Option<trials::Rates>,
    /// What channels were told besides their rate, in this life.
    terms_told: publish::Told,
    /// Orders with sizes of payments that the node refused when they were given last, in words.
    terms_refused: BTreeMap<ChannelId, String>,
    /// What we have of CLBoss and what it could not be told.
    clboss: clboss::ClbossSight,
    /// The last plan that a step has read or made.
    plan: Option<Arc<Plan>>,
    /// The last rebalance step.
    rebalance: Option<Arc<RebalanceReport>>,
    /// Moves of which the rebalancer did not say what the node says, newest first.
    differences: Vec<MoveDifference>,
    /// Moves of which nothing was found at work when they were last to be given up, and since when.
    at_rest: HashMap<i64, Time>,
    /// What ways between peers were found to cost.
    routes: routes::Asked,
    /// When the balances were last noted.
    holdings_noted: Option<Time>,
    /// What the last reading of the books brought.
    books: BooksSight,
    /// The node's list of forwards has been read to its end.
    caught_up: bool,
    /// Up to when, now or in an earlier life: what came to the node's list while it was read is for the next time.
    read_until: Option<Time>,
    /// The last reading failed.
    unread: Option<Unread>,
    /// Created index of the last unresolved forward that was asked about: the next ones take their turn.
    asked_to: u64,
}

/// Forwards that the node did not tell when it was asked.
#[derive(Clone, Debug)]
struct Unread {
    /// When the first reading that failed began.
    since: Time,
    why: String,
    /// Up to when they are known all the same; `None`: they have never been read.
    until: Option<Time>,
}

impl Seen {
    fn change<T>(&self, change: impl FnOnce(&mut Sights) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T>(&self, read: impl FnOnce(&Sights) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ops {
    pub fn new(
        identity: Identity,
        node: Arc<dyn Node>,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Ops {
        let (turn, reading, policing, booking) = (Mutex::new(()), Mutex::new(()), Mutex::new(()), Mutex::new(()));
        let (jobs, expiry, seen) = (Jobs::default(), watch::Sender::new(None), Seen::default());
        let (neighbours, books) = (Arc::new(Alone), Arc::new(NoBooks));
        let rebalancer = None;
        Ops {
            identity,
            node,
            rebalancer,
            neighbours,
            books,
            ledger,
            clock,
            settings,
            jobs,
            turn,
            reading,
            policing,
            booking,
            expiry,
            seen,
        }
    }

    /// The same with the node's own books.
    #[must_use]
    pub fn with_books(self, books: Arc<dyn Books>) -> Ops {
        Ops { books, ..self }
    }

    /// The same with the plugins that run beside us on the node.
    #[must_use]
    pub fn beside(self, neighbours: Arc<dyn Neighbours>) -> Ops {
        Ops { neighbours, ..self }
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The options in force, and a way to hear of changes.
    pub fn options(&self) -> watch::Receiver<Arc<Options>> {
        self.settings.watch()
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The node as the last step saw it.
    pub fn last_view(&self) -> Option<Arc<NodeView>> {
        self.seen.read(|seen| seen.view.clone())
    }

    /// Writes what is left and closes the ledger; waits for the step that runs.
    pub async fn close(&self) {
        let _turn = self.turn.lock().await;
        self.ledger.close().await;
    }

    /// The node as of now. An unanswered question fails the whole look; only the feerate may be unknown.
    async fn look(&self, now: Time) -> anyhow::Result<Arc<NodeView>> {
        let channels = self.node.channels().await?;
        self.ledger.note_channels(now, &channels).await?;
        let feerate = self.node.feerate().await.unwrap_or_else(|error| {
            tracing::warn!("the on-chain feerate is unknown in this step: {error}");
            None
        });
        let view = Arc::new(NodeView { now, channels, feerate });
        self.seen.change(|seen| seen.view = Some(view.clone()));
        Ok(view)
    }
}
