-- Changes of fee rates by rules whose revenue is compared with what was before. trial: as JSON.
CREATE TABLE trials (
    channel INTEGER PRIMARY KEY REFERENCES channels (id),
    trial   TEXT NOT NULL
) STRICT;

-- The rate that a channel was last seen to have, whoever set it, and since when.
CREATE TABLE rates (
    channel INTEGER PRIMARY KEY REFERENCES channels (id),
    ppm     INTEGER NOT NULL,
    since   INTEGER NOT NULL
) STRICT;
