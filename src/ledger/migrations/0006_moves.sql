-- What the node's books had between the two channels of a move before it began. Absent: they were not asked, or there were none. What came
-- of the move is told by the difference, whatever the clock did meanwhile.
ALTER TABLE rebalances ADD COLUMN booked_moved INTEGER;
ALTER TABLE rebalances ADD COLUMN booked_spent INTEGER;
ALTER TABLE rebalances ADD COLUMN booked_parts INTEGER;
