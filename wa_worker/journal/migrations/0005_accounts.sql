-- Under which JID WhatsApp knows the account of a number that was written otherwise (Brazil's ninth digit): its own answer.
CREATE TABLE accounts (
  asked       TEXT PRIMARY KEY,
  jid         TEXT NOT NULL,
  learned_at  REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX accounts_learned ON accounts (learned_at);

-- The JID that a message went to, where the proxy did not write that one itself.
ALTER TABLE ledger ADD COLUMN sent_to TEXT;
