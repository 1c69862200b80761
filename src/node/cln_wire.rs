//! The shapes that Core Lightning sends: only the fields that we use.
