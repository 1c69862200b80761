//! The timers: wake, call a step, log what broke, stop when told.
