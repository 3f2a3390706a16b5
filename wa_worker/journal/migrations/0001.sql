-- The journal: what must survive a crash. Times are unix seconds. See docs/delivery.md.

-- A chat of an instance. Its id is the lane in which messages stay in order.
CREATE TABLE chats (
  id        INTEGER PRIMARY KEY,
  instance  TEXT NOT NULL,
  jid       TEXT NOT NULL,
  UNIQUE (instance, jid)
) STRICT;

-- P3. A message is committed here inside neonize's callback, and leaves for /inbound from here.
CREATE TABLE inbox (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  chat         INTEGER NOT NULL REFERENCES chats (id),
  wa_id        TEXT NOT NULL,
  message      TEXT,                       -- JSON of the model; emptied once posted
  state        TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'posted', 'dead')),
  rejections   INTEGER NOT NULL DEFAULT 0, -- how often the proxy refused it for good
  error        TEXT,
  received_at  REAL NOT NULL,
  settled_at   REAL,
  UNIQUE (chat, wa_id)
) STRICT;

CREATE INDEX inbox_lanes ON inbox (chat, seq) WHERE state = 'pending';
CREATE INDEX inbox_dead ON inbox (seq) WHERE state = 'dead';
CREATE INDEX inbox_settled ON inbox (settled_at) WHERE state <> 'pending';

-- P1, P2. The ledger of what was asked to be sent. It holds no bodies: those stay in the proxy's queue.
CREATE TABLE outbox (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  instance    TEXT NOT NULL,
  message_id  TEXT NOT NULL,               -- the proxy's id as JSON: 7 and "7" differ
  chat        TEXT,                        -- the destination, NULL if it is none
  state       TEXT NOT NULL CHECK (state IN ('waiting', 'intent', 'sent', 'marked', 'failed', 'uncertain')),
  wa_id       TEXT,
  attempts    INTEGER NOT NULL DEFAULT 0,  -- sends that were begun
  doubts      INTEGER NOT NULL DEFAULT 0,  -- of these, how many may have left unnoticed
  not_before  REAL NOT NULL DEFAULT 0,
  error       TEXT,
  told        INTEGER NOT NULL DEFAULT 0,  -- the proxy has heard of the failure
  created_at  REAL NOT NULL,
  changed_at  REAL NOT NULL,
  UNIQUE (instance, message_id)
) STRICT;

CREATE INDEX outbox_to_tell ON outbox (instance, seq) WHERE state = 'sent' OR (state = 'failed' AND told = 0);
CREATE INDEX outbox_attention ON outbox (state, seq) WHERE state IN ('waiting', 'intent', 'failed', 'uncertain');
CREATE INDEX outbox_settled ON outbox (changed_at) WHERE state IN ('waiting', 'marked', 'failed', 'uncertain');

-- What an instance must remember over a restart: until when, and why, it must keep away from WhatsApp.
CREATE TABLE holds (
  instance  TEXT PRIMARY KEY,
  reason    TEXT NOT NULL,
  until     REAL NOT NULL,
  count     INTEGER NOT NULL DEFAULT 1
) STRICT;
