-- The options of a poll, of ours or of others: a vote names them by their hashes. `secret` is the one that the poll's
-- message carries, by which the vote is decrypted.
CREATE TABLE polls (
  instance  TEXT NOT NULL,
  secret    BLOB NOT NULL,
  options   TEXT NOT NULL,                 -- a JSON list of texts
  asked_at  REAL NOT NULL,
  PRIMARY KEY (instance, secret)
) STRICT, WITHOUT ROWID;

CREATE INDEX polls_asked ON polls (asked_at);
