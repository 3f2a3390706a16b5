-- The file of a received message: where WhatsApp keeps it, and how far it has come on its way to the proxy. The row goes
-- when both the message and its file have reached their end.
CREATE TABLE media (
  message_seq  INTEGER PRIMARY KEY REFERENCES inbox (seq) ON DELETE CASCADE,
  step         TEXT NOT NULL DEFAULT 'wanted' CHECK (step IN ('wanted', 'stored', 'settled')),
  kind         TEXT NOT NULL,
  direct_path  TEXT NOT NULL,
  media_key    BLOB NOT NULL,
  enc_sha256   BLOB NOT NULL,
  sha256       BLOB NOT NULL,
  size         INTEGER NOT NULL,  -- by the sender's word
  url          TEXT,              -- settled: what the proxy answered,
  failure      TEXT,              -- or why there is no file
  posted       TEXT               -- the message, once the proxy has it without its file
) STRICT;

CREATE INDEX media_wanted ON media (message_seq) WHERE step = 'wanted';
CREATE INDEX media_stored ON media (message_seq) WHERE step = 'stored';
