-- An event about a message (a reaction, an edit...) carries that message's id: the kind belongs to the key of the inbox.
-- SQLite cannot change a UNIQUE constraint, so the table is made anew. The sequence goes along: a seq is never used twice.
CREATE TABLE inbox_new (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  chat         INTEGER NOT NULL REFERENCES chats (id),
  kind         TEXT NOT NULL DEFAULT 'message',
  wa_id        TEXT NOT NULL,
  message      TEXT,                       -- JSON of the model; emptied once posted
  state        TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'posted', 'dead')),
  rejections   INTEGER NOT NULL DEFAULT 0, -- how often the proxy refused it for good
  error        TEXT,
  received_at  REAL NOT NULL,
  settled_at   REAL,
  UNIQUE (chat, kind, wa_id)
) STRICT;

INSERT INTO inbox_new (seq, chat, wa_id, message, state, rejections, error, received_at, settled_at)
SELECT seq, chat, wa_id, message, state, rejections, error, received_at, settled_at FROM inbox ORDER BY seq;

DELETE FROM sqlite_sequence WHERE name = 'inbox_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'inbox_new', seq FROM sqlite_sequence WHERE name = 'inbox';

DROP TABLE inbox;
ALTER TABLE inbox_new RENAME TO inbox;

CREATE INDEX inbox_pending ON inbox (chat, seq) WHERE state = 'pending';
CREATE INDEX inbox_dead ON inbox (seq) WHERE state = 'dead';
CREATE INDEX inbox_settled ON inbox (settled_at) WHERE state <> 'pending';

-- The ledger is called by its name.
DROP INDEX outbox_to_tell;
DROP INDEX outbox_attention;
DROP INDEX outbox_settled;
ALTER TABLE outbox RENAME TO ledger;
ALTER TABLE ledger RENAME COLUMN told TO reported;

CREATE INDEX ledger_unreported ON ledger (instance, seq) WHERE state = 'sent' OR (state = 'failed' AND reported = 0);
CREATE INDEX ledger_attention ON ledger (state, seq) WHERE state IN ('waiting', 'intent', 'failed', 'uncertain');
CREATE INDEX ledger_settled ON ledger (changed_at) WHERE state IN ('waiting', 'marked', 'failed', 'uncertain');

-- When a hold was written. NULL: before this step.
ALTER TABLE holds ADD COLUMN written_at REAL;
