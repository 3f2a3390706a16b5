-- What groups are called: what is posted of a group says so. `set_at` (unix seconds) is since when, as WhatsApp says.
CREATE TABLE groups (
  instance    TEXT NOT NULL,
  jid         TEXT NOT NULL,
  subject     TEXT NOT NULL,
  set_at      INTEGER NOT NULL,
  PRIMARY KEY (instance, jid)
) STRICT, WITHOUT ROWID;
