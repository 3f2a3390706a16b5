-- Calls that ring, until it is known what became of them: then they are rows of the inbox.
CREATE TABLE calls (
  instance  TEXT NOT NULL,
  call_id   TEXT NOT NULL,
  message   TEXT NOT NULL,                 -- JSON of the model, without the outcome
  rang_at   REAL NOT NULL,
  PRIMARY KEY (instance, call_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX calls_oldest ON calls (rang_at);

-- What the account's own phone sends is told from what a worker sent by these.
CREATE INDEX IF NOT EXISTS ledger_wa_id ON ledger (wa_id) WHERE wa_id IS NOT NULL;
CREATE INDEX ledger_maybe_sent ON ledger (seq) WHERE maybe_ids IS NOT NULL;
