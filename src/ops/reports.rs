//! What an operator asks. Reads only; never waits for a turn.
