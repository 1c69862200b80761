//! A market in memory. In process it is a [`crate::node::Node`] for tests and the demo; as a process it is a lightningd without a
//! network. It contains no copy of any rule: it drives the same steps.

pub mod backtest;
pub mod book;
pub mod channel;
mod curve;
pub mod days;
pub mod graph;
pub mod law;
pub mod lightningd;
pub mod market;
pub mod mempool;
pub mod mover;
pub mod network;
pub mod node;
pub mod oracle;
pub mod play;
pub mod rules;
pub mod scenario;
pub mod score;
mod sight;
mod slots;
pub mod story;
pub mod tape;

pub use days::{DayReport, Simulation, run_days};
pub use market::{Market, News, play_static};
pub use network::{Network, Scenario};
pub use node::SimNode;
pub use play::{Asked, Run, play, play_asked, play_fixed};
pub use scenario::{Kind, Set};
pub use sight::Sight;
pub use tape::Tape;

#[cfg(test)]
mod tests;
