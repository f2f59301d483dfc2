-- Whether a row of the outbox lies at the device's mailbox: since when, and how many peers keep it.
ALTER TABLE outbox ADD COLUMN mailed_s INTEGER;
ALTER TABLE outbox ADD COLUMN mailed_holders INTEGER;
