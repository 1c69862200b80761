//! The steps: look, decide, act, remember.
