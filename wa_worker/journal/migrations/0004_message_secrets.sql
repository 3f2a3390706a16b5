-- What is known of a send that may or may not have left. The library takes no id, but it writes the id down beside the
-- secret that a message carries (whatsapp/message_secrets.py).
ALTER TABLE ledger ADD COLUMN secret BLOB;                           -- of an intent: what its message carries
ALTER TABLE ledger ADD COLUMN store TEXT;                            -- of an intent: the mark of the session store it goes through
ALTER TABLE ledger ADD COLUMN maybe_ids TEXT;                        -- JSON: the ids under which it may have left
ALTER TABLE ledger ADD COLUMN unproven INTEGER NOT NULL DEFAULT 0;   -- 1: waiting, first of all for a receipt
