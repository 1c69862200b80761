//! The words of the house: data and arithmetic. No async, no I/O, no foreign formats.

pub mod books;
pub mod channel;
pub mod facts;
pub mod flow;
pub mod forward;
pub mod ids;
pub mod job;
pub mod policy;
pub mod time;
pub mod units;
pub mod view;

pub use books::{
    Account, AccountLine, ChainMove, ChainTag, ChannelMoves, CloseType, ClosedChannel, CoinAccount, Direction,
    Evidence, IncomeLine, OwnPayment, PaymentHash, TxId, WalletCoins,
};
pub use channel::{Bounds, Channel, ChannelName, ChannelState, FeePolicy, Side};
pub use facts::{
    Activity, Chain, Costs, Estimate, Facts, Graph, GraphPeer, NodeFacts, OurTerms, Shared, TheirTerms, Together, Week,
};
pub use flow::{Flow, FlowClass};
pub use forward::{Forward, ForwardIndex, ForwardKey, ForwardStatus};
pub use ids::{ChannelId, PeerId, Scid};
pub use job::{Booked, Job, MoveFailure, MoveOrder, Paid, Tally, Task};
pub use policy::{Limits, Policy, Pricing, ROLLBACK, RebalanceMode, Ruling, Source, Terms};
pub use time::{Clock, ManualClock, ScaledClock, SystemClock, Time};
pub use units::{Msat, Ppm, Sat, Share};
pub use view::{Feerate, Holding, Holdings, Identity, NodeView};
