-- How far a message of ours has come, by what its receivers' phones have said: the furthest of each. `recipient` is the
-- participant in a group, '' in a direct chat. `due`: the proxy knows the message; `told`: how far it has heard of.
CREATE TABLE receipts (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  instance    TEXT NOT NULL,
  wa_id       TEXT NOT NULL,
  recipient   TEXT NOT NULL,
  rank        INTEGER NOT NULL,            -- 1: delivered, 2: read, 3: played
  told        INTEGER NOT NULL DEFAULT 0,
  due         INTEGER NOT NULL,
  timestamp   INTEGER NOT NULL,            -- of the furthest, in unix seconds
  changed_at  REAL NOT NULL,
  UNIQUE (instance, wa_id, recipient)
) STRICT;

CREATE INDEX receipts_due ON receipts (seq) WHERE due AND told < rank;
CREATE INDEX receipts_changed ON receipts (changed_at);

-- When WhatsApp accepted a message, in unix seconds. NULL: before this step, or not known.
ALTER TABLE ledger ADD COLUMN sent_at INTEGER;
