-- How far the node's own records of coins have been read: on the chain, and in channels.
CREATE TABLE coins (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    chain   INTEGER NOT NULL DEFAULT 0,
    channel INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO coins (id) VALUES (1);

-- opener, closer: 0 we, 1 the peer. evidence: what was seen of the end, as bits.
-- ask_at: when the bookkeeper is to be asked about the channel; again_at: not before then is its answer the last word.
CREATE TABLE lives (
    channel       INTEGER PRIMARY KEY REFERENCES channels (id),
    scid          INTEGER,
    capacity_msat INTEGER,
    opener        INTEGER,
    closer        INTEGER,
    cause         TEXT,
    opened_at     INTEGER,
    closing_at    INTEGER,
    archived_at   INTEGER,
    evidence      INTEGER NOT NULL DEFAULT 0,
    last_fee_msat INTEGER,
    balance_msat  INTEGER,
    ask_at        INTEGER,
    again_at      INTEGER
) STRICT;
CREATE INDEX lives_ask ON lives (ask_at) WHERE ask_at IS NOT NULL;

-- Payments of our own. One that both left and came back is a rebalance, and what it cost is a transfer.
-- direction: 0 out, 1 in.
CREATE TABLE own_payments (
    payment     BLOB    NOT NULL,
    direction   INTEGER NOT NULL,
    channel     INTEGER NOT NULL REFERENCES channels (id),
    part        INTEGER NOT NULL,
    amount_msat INTEGER NOT NULL,
    fee_msat    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (payment, direction, channel, part)
) STRICT, WITHOUT ROWID;

-- Sums of forwards and costs over days (level 0, by day since 1970), over 8 days (level 1), 64 days (level 2), and over all time (level 3,
-- slot 0), so that no report has to add up more than a few dozen rows per channel. Channel 0 is the node: each fee once.
CREATE TABLE periods (
    level          INTEGER NOT NULL,
    slot           INTEGER NOT NULL,
    channel        INTEGER NOT NULL,
    in_msat        INTEGER NOT NULL,
    out_msat       INTEGER NOT NULL,
    in_count       INTEGER NOT NULL,
    out_count      INTEGER NOT NULL,
    earned_msat    INTEGER NOT NULL,
    brought_msat   INTEGER NOT NULL,
    opening_msat   INTEGER NOT NULL,
    closure_msat   INTEGER NOT NULL,
    splice_msat    INTEGER NOT NULL,
    rebalance_msat INTEGER NOT NULL,
    PRIMARY KEY (level, slot, channel)
) STRICT, WITHOUT ROWID;
INSERT INTO periods
SELECT 0, hour / 24, channel, SUM(in_msat), SUM(out_msat), SUM(in_count), SUM(out_count), SUM(earned_msat), SUM(brought_msat), 0, 0, 0, 0
FROM rollups GROUP BY hour / 24, channel;
INSERT INTO periods
SELECT 0, slot, 0, SUM(in_msat), SUM(out_msat), SUM(in_count), SUM(out_count), SUM(earned_msat), SUM(brought_msat), 0, 0, 0, 0
FROM periods GROUP BY slot;
INSERT INTO periods
SELECT 1, slot / 8, channel, SUM(in_msat), SUM(out_msat), SUM(in_count), SUM(out_count), SUM(earned_msat), SUM(brought_msat), 0, 0, 0, 0
FROM periods WHERE level = 0 GROUP BY slot / 8, channel;
INSERT INTO periods
SELECT 2, slot / 8, channel, SUM(in_msat), SUM(out_msat), SUM(in_count), SUM(out_count), SUM(earned_msat), SUM(brought_msat), 0, 0, 0, 0
FROM periods WHERE level = 1 GROUP BY slot / 8, channel;
INSERT INTO periods
SELECT 3, 0, channel, SUM(in_msat), SUM(out_msat), SUM(in_count), SUM(out_count), SUM(earned_msat), SUM(brought_msat), 0, 0, 0, 0
FROM periods WHERE level = 2 GROUP BY channel;
-- The node's days lie far apart among its channels'.
CREATE INDEX periods_node ON periods (level, slot) WHERE channel = 0;

-- Costs are looked up by time.
DROP INDEX transfers_to;
CREATE INDEX transfers_to ON transfers (to_account, at);

-- Where our money lay, as it was last seen on each day. Days on which nobody looked are not here.
CREATE TABLE days (
    day              INTEGER PRIMARY KEY,
    at               INTEGER NOT NULL,
    onchain_msat     INTEGER,
    unconfirmed_msat INTEGER,
    local_msat       INTEGER NOT NULL,
    remote_msat      INTEGER NOT NULL,
    pending_msat     INTEGER NOT NULL,
    closing_msat     INTEGER NOT NULL,
    capacity_msat    INTEGER NOT NULL,
    channels         INTEGER NOT NULL
) STRICT;
