-- Moves of liquidity between two of our channels. What they may cost and did cost is in the transfers, by keys 'rebalance/ID/...'.
-- state: 0 reserved and perhaps begun, 1 begun, 2 told to stop, 3 closed.
-- stopping, failure: by the place in the list of kinds; absent where there is none.
-- before_*: what the rebalancer had counted for the filled channel when the move began.
CREATE TABLE rebalances (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    at               INTEGER NOT NULL,
    from_channel     INTEGER NOT NULL REFERENCES channels (id),
    to_channel       INTEGER NOT NULL REFERENCES channels (id),
    from_peer        BLOB    NOT NULL,
    to_peer          BLOB    NOT NULL,
    from_scid        INTEGER NOT NULL,
    to_scid          INTEGER NOT NULL,
    amount_sat       INTEGER NOT NULL,
    part_sat         INTEGER NOT NULL,
    keep_sat         INTEGER NOT NULL,
    max_ppm          INTEGER NOT NULL,
    reserved_msat    INTEGER NOT NULL,
    profit_msat      INTEGER NOT NULL,
    manual           INTEGER NOT NULL,
    summary          TEXT    NOT NULL,
    before_moved     INTEGER NOT NULL,
    before_spent     INTEGER NOT NULL,
    before_successes INTEGER NOT NULL,
    before_failures  INTEGER NOT NULL,
    state            INTEGER NOT NULL DEFAULT 0,
    stopping         INTEGER,
    ended_at         INTEGER,
    moved_msat       INTEGER NOT NULL DEFAULT 0,
    spent_msat       INTEGER NOT NULL DEFAULT 0,
    failure          INTEGER,
    CHECK (from_channel <> to_channel)
) STRICT;
CREATE INDEX rebalances_open ON rebalances (id) WHERE state < 3;
CREATE INDEX rebalances_ended ON rebalances (ended_at) WHERE state = 3;
CREATE INDEX rebalances_from ON rebalances (from_channel);
CREATE INDEX rebalances_to ON rebalances (to_channel);
