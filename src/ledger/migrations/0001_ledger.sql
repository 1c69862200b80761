-- Times are milliseconds since 1970, hours and days are whole ones since 1970, money is millisatoshi.
-- Short channel ids and HTLC ids are unsigned 64-bit numbers kept bit by bit in signed ones.

CREATE TABLE owner (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    node    BLOB    NOT NULL,
    network TEXT    NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

-- How far the node's list was read, and what is gone from the single rows but still in the sums.
CREATE TABLE progress (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    created          INTEGER NOT NULL DEFAULT 0,
    updated          INTEGER NOT NULL DEFAULT 0,
    listed_received  INTEGER,
    seen             INTEGER NOT NULL DEFAULT 0,
    dropped          INTEGER NOT NULL DEFAULT 0,
    dropped_created  INTEGER,
    dropped_received INTEGER,
    dropped_known    INTEGER,
    config_version   INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO progress (id) VALUES (1);

-- A placeholder stands for the channel of an scid that nobody has named yet; its channel_id is made of that scid.
CREATE TABLE channels (
    id          INTEGER PRIMARY KEY,
    channel_id  BLOB    NOT NULL UNIQUE,
    peer        BLOB,
    placeholder INTEGER NOT NULL,
    noted_at    INTEGER
) STRICT;

CREATE TABLE scids (
    scid    INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL REFERENCES channels (id),
    asked   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX scids_channel ON scids (channel);

-- status: 0 offered, 1 settled, 2 failed further down, 3 failed by us.
-- known_at: when the outcome was known; absent while there is none.
-- orphan: a failure toward an scid that is no channel of ours (yet); it counts for no channel.
CREATE TABLE forwards (
    in_scid  INTEGER NOT NULL,
    in_htlc  INTEGER NOT NULL,
    out_scid INTEGER,
    in_msat  INTEGER NOT NULL,
    out_msat INTEGER,
    fee_msat INTEGER,
    status   INTEGER NOT NULL,
    failcode INTEGER,
    received INTEGER NOT NULL,
    resolved INTEGER,
    created  INTEGER,
    updated  INTEGER,
    known_at INTEGER,
    orphan   INTEGER NOT NULL,
    PRIMARY KEY (in_scid, in_htlc)
) STRICT, WITHOUT ROWID;
CREATE INDEX forwards_known ON forwards (known_at, status) WHERE known_at IS NOT NULL;
CREATE INDEX forwards_offered ON forwards (created) WHERE status = 0;
-- By time, so that new rows share a page: orphans name any scid there is, and are looked for only when a channel appears.
CREATE INDEX forwards_orphans ON forwards (received, out_scid) WHERE orphan = 1;

CREATE TABLE rollups (
    hour         INTEGER NOT NULL,
    channel      INTEGER NOT NULL,
    in_msat      INTEGER NOT NULL,
    out_msat     INTEGER NOT NULL,
    in_count     INTEGER NOT NULL,
    out_count    INTEGER NOT NULL,
    earned_msat  INTEGER NOT NULL,
    brought_msat INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    local_failed INTEGER NOT NULL,
    starved      INTEGER NOT NULL,
    PRIMARY KEY (hour, channel)
) STRICT, WITHOUT ROWID;

CREATE TABLE node_hours (
    hour         INTEGER PRIMARY KEY,
    settled      INTEGER NOT NULL,
    out_msat     INTEGER NOT NULL,
    fees_msat    INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    local_failed INTEGER NOT NULL,
    starved      INTEGER NOT NULL
) STRICT;

-- rated_*: up to where the peer's reputation has taken in_count and in_failed into account.
CREATE TABLE totals (
    channel      INTEGER PRIMARY KEY REFERENCES channels (id),
    in_msat      INTEGER NOT NULL,
    out_msat     INTEGER NOT NULL,
    in_count     INTEGER NOT NULL,
    out_count    INTEGER NOT NULL,
    earned_msat  INTEGER NOT NULL,
    brought_msat INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    local_failed INTEGER NOT NULL,
    starved      INTEGER NOT NULL,
    in_failed    INTEGER NOT NULL,
    last_forward INTEGER,
    rated_good   INTEGER NOT NULL DEFAULT 0,
    rated_bad    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE accounts (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Amounts are in no index: the postings of the day grow with every batch of forwards, and nothing else of them may have to move.
CREATE TABLE transfers (
    id           INTEGER PRIMARY KEY,
    key          TEXT    NOT NULL UNIQUE,
    at           INTEGER NOT NULL,
    from_account INTEGER NOT NULL REFERENCES accounts (id),
    to_account   INTEGER NOT NULL REFERENCES accounts (id),
    amount_msat  INTEGER NOT NULL,
    memo         TEXT    NOT NULL,
    CHECK (from_account <> to_account)
) STRICT;
CREATE INDEX transfers_from ON transfers (from_account);
CREATE INDEX transfers_to ON transfers (to_account);

CREATE TABLE flows (
    channel      INTEGER PRIMARY KEY REFERENCES channels (id),
    at           INTEGER NOT NULL,
    class        TEXT    NOT NULL,
    out_per_day  REAL    NOT NULL,
    in_per_day   REAL    NOT NULL,
    net          REAL    NOT NULL,
    turnover     REAL    NOT NULL,
    velocity     REAL    NOT NULL,
    confidence   REAL    NOT NULL,
    out_msat     INTEGER NOT NULL,
    in_msat      INTEGER NOT NULL,
    forwards     INTEGER NOT NULL,
    last_forward INTEGER
) STRICT;

CREATE TABLE memories (
    peer   BLOB    PRIMARY KEY,
    memory TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

-- The larger part of a memory, which changes less often.
CREATE TABLE learned (
    peer    BLOB    PRIMARY KEY,
    learned TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

-- outcome: 0 kept, 1 set, 2 dry, 3 failed, 4 ordered and not heard of yet.
CREATE TABLE decisions (
    channel INTEGER PRIMARY KEY REFERENCES channels (id),
    peer    BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    old     INTEGER NOT NULL,
    new     INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    manual  INTEGER NOT NULL,
    urgent  INTEGER NOT NULL,
    summary TEXT    NOT NULL,
    why     TEXT    NOT NULL
) STRICT;

CREATE TABLE changes (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    channel INTEGER NOT NULL REFERENCES channels (id),
    peer    BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    old     INTEGER NOT NULL,
    new     INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    manual  INTEGER NOT NULL,
    urgent  INTEGER NOT NULL,
    summary TEXT    NOT NULL,
    why     TEXT    NOT NULL
) STRICT;
-- Says by itself how often a channel's fee rate was changed lately.
CREATE INDEX changes_at ON changes (at, outcome, channel, urgent, old, new);
CREATE INDEX changes_ordered ON changes (at) WHERE outcome = 4;
CREATE INDEX changes_channel ON changes (channel);

CREATE TABLE reputation (
    peer      BLOB    PRIMARY KEY,
    successes REAL    NOT NULL,
    failures  REAL    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;

CREATE TABLE notes (
    name TEXT    PRIMARY KEY,
    text TEXT    NOT NULL,
    at   INTEGER NOT NULL
) STRICT;

CREATE TABLE feerates (
    at          INTEGER PRIMARY KEY,
    sat_per_kvb INTEGER NOT NULL
) STRICT;

CREATE TABLE overrides (
    key        TEXT    PRIMARY KEY,
    value      TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- policy: what was said about the peer, as JSON.
CREATE TABLE policies (
    peer   BLOB PRIMARY KEY,
    policy TEXT NOT NULL
) STRICT;

-- kind: 0 set, 1 deleted, 2 expired; the policy is the new one, or the one that is gone.
CREATE TABLE policy_changes (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    peer   BLOB    NOT NULL,
    kind   INTEGER NOT NULL,
    policy TEXT    NOT NULL
) STRICT;
CREATE INDEX policy_changes_at ON policy_changes (at);
CREATE INDEX policy_changes_peer ON policy_changes (peer, at);

-- What was taken out of CLBoss's hands: tags that the user had set there himself are not among them.
-- state: 0 taken, 1 given back by an operator.
CREATE TABLE clboss_tags (
    peer  BLOB    NOT NULL,
    tag   TEXT    NOT NULL,
    state INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (peer, tag)
) STRICT, WITHOUT ROWID;
