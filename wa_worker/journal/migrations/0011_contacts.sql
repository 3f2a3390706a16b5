-- What PACE must remember over a restart. Nobody's address is in it: `person` is a keyed hash of the account's JID and the
-- person's, and `account` one of the account's alone.

-- Whom an account has heard of (`heard_at`), and to whom it began to write (`begun_at`). `first_at`: when it wrote to
-- somebody who had never written, for the first time: these are counted.
CREATE TABLE contacts (
  instance    TEXT NOT NULL,
  person      BLOB NOT NULL,
  heard_at    REAL,
  begun_at    REAL,
  first_at    REAL,
  PRIMARY KEY (instance, person)
) STRICT, WITHOUT ROWID;

CREATE INDEX contacts_first ON contacts (instance, first_at) WHERE first_at IS NOT NULL;
CREATE INDEX contacts_last ON contacts (max(coalesce(heard_at, 0), coalesce(begun_at, 0)));

-- Since when an instance is linked to an account. `restricted_until`: until when WhatsApp is not asked to take a first
-- message of it (error 463); `restricted_at`: when that was written.
CREATE TABLE linked_accounts (
  instance          TEXT NOT NULL,
  account           BLOB NOT NULL,
  linked_at         REAL NOT NULL,
  seen_at           REAL NOT NULL,
  restricted_until  REAL,
  restricted_at     REAL,
  PRIMARY KEY (instance, account)
) STRICT, WITHOUT ROWID;

-- The key of the hashes: one row, once it is needed.
CREATE TABLE contact_key (key BLOB NOT NULL) STRICT;
