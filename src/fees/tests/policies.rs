//! What a policy says, and what the controller does before and after.
use super::*;
