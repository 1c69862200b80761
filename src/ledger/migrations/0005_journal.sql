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
