//! Keys that the earlier plugin of this name had and that mean nothing here, each with the reason. Never a value: they are refused.

/// Groups of keys, and why they do nothing here or what takes their place.
pub(super) const FORMER: &[(&[&str], &str)] = &[
    (
        &["source_threshold", "sink_threshold"],
        "a channel is a source or a sink where twice as much goes one way as the other, whatever its size",
    ),
    (
        &["low_liquidity_threshold", "high_liquidity_threshold"],
        "what is filled, and from where, follows from what the next satoshi is worth in each channel, not from its share of balance",
    ),
    (
        &["rebalance_cooldown_hours"],
        "a channel is filled again when that is worth its cost; only after failures it waits, by their kind",
    ),
    (&["clboss_unmanage_duration_hours"], "what CLBoss leaves alone stays so until `revenue-remanage` gives it back"),
    (
        &["estimated_open_cost_sats"],
        "openings cost what the node's bookkeeper says; without one each is estimated, as `revenue-report costs` shows",
    ),
    (&["sling_max_hops"], "sling decides on routes by itself; it has the option `sling-maxhops`"),
    (
        &["sling_parallel_jobs"],
        "the parts of a move go one after the other; `max_concurrent_jobs` bounds how many moves are under way",
    ),
    (
        &["sling_target_sink", "sling_target_source", "sling_target_balanced"],
        "a move has an amount, from `rebalance_min_amount` to `rebalance_max_amount`, and no target",
    ),
    (&["sling_outppm_fallback"], "each order names the channel that it drains"),
    (&["sling_available"], "it is no option; `revenue-rebalance-debug` says whether sling is there"),
    (&["enable_flow_asymmetry", "enable_peer_sync"], "it never had an effect"),
    (&["ema_smoothing_alpha"], "pricing compares whole blocks of time and smooths nothing"),
    (
        &["enable_velocity_gate", "min_velocity_threshold"],
        "how much is wanted of a channel counts in what a move is worth",
    ),
    (&["new_channel_grace_days"], "a channel that you have just opened may be filled before it has earned anything"),
];

/// Why a key of the earlier plugin does nothing here; `None`: it is no such key.
pub(super) fn why(key: &str) -> Option<&'static str> {
    FORMER.iter().find(|(keys, _)| keys.contains(&key)).map(|(_, why)| *why)
}
