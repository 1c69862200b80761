//! Core Lightning over its RPC socket.
