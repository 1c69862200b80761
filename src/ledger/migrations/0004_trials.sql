-- Changes of fee rates by rules whose revenue is compared with what was before. trial: as JSON.
CREATE TABLE trials (
    channel INTEGER PRIMARY KEY REFERENCES channels (id),
    trial   TEXT NOT NULL
) STRICT;
