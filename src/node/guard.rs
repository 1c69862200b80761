//! Timeouts and circuit breakers around a node.
