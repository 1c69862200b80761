-- The journal is read by time, page after page.
CREATE INDEX transfers_at ON transfers (at);

-- Splices, by what they changed of our side. Accounts that had some before are read once more.
CREATE TABLE splices (
    channel     INTEGER NOT NULL REFERENCES channels (id),
    txid        BLOB    NOT NULL,
    at          INTEGER NOT NULL,
    change_msat INTEGER NOT NULL,
    PRIMARY KEY (channel, txid)
) STRICT, WITHOUT ROWID;
UPDATE lives SET ask_at = 0 WHERE channel IN (SELECT channel FROM periods WHERE level = 3 AND splice_msat > 0);

-- The node's own days hold all that a series of days tells: its lines are found without looking among those of the channels.
DROP INDEX periods_node;
CREATE INDEX periods_node ON periods (level, slot, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, opening_msat,
    closure_msat, splice_msat, rebalance_msat) WHERE channel = 0;
