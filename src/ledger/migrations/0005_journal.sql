-- The journal is read by time, page after page.
CREATE INDEX transfers_at ON transfers (at);
