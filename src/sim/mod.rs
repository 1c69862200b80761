//! A market in memory.
