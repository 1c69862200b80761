//! The map of the house. A module may use the floors below its own only; `tests/tidy.rs` checks it.

// Floor 5: front doors.
pub mod cli;
pub mod plugin;
// Floor 4: commands, timers, the market.
pub mod live;
pub mod rpc;
pub mod sim;
// Floor 3: the steps.
pub mod ops;
// Floor 2: the edges; all I/O is here.
pub mod ledger;
pub mod node;
// Floor 1: the rooms; pure.
pub mod accounts;
pub mod fees;
pub mod flow;
pub mod options;
pub mod policy;
pub mod rebalance;
// Floor 0: the words.
pub mod domain;
