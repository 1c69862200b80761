//! The revenue-* commands: one table, one file each.
