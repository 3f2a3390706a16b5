-- The last changes of each instance, for people: twenty of each (journal/changes.py). `until`: unix seconds, if known.
CREATE TABLE changes (
  seq         INTEGER PRIMARY KEY,
  instance    TEXT NOT NULL,
  at          REAL NOT NULL,
  state       TEXT NOT NULL,
  reason      TEXT NOT NULL,
  until       INTEGER,
  detail      TEXT NOT NULL,               -- masked
  by          TEXT NOT NULL
) STRICT;

CREATE INDEX changes_instance ON changes (instance, seq);

-- Instances that a person has let go of: they are not connected, whatever the proxy lists, until a person takes them up.
CREATE TABLE let_go (
  instance    TEXT PRIMARY KEY,
  at          REAL NOT NULL
) STRICT, WITHOUT ROWID;
