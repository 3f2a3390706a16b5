-- The timer of a chat with disappearing messages: what is sent there carries it. A person whose LID is known has a row
-- under each address. `account` is whose chat it is: an instance may be paired with another number.
CREATE TABLE chat_timers (
  instance    TEXT NOT NULL,
  account     TEXT NOT NULL,
  chat        TEXT NOT NULL,
  expiration  INTEGER NOT NULL,  -- seconds, 0: off
  set_at      INTEGER NOT NULL,
  changed     INTEGER NOT NULL,  -- 1: somebody changed the setting; 0: a message told what it was
  initiator   INTEGER NOT NULL,  -- WhatsApp's numbers, as our messages have them
  trigger     INTEGER NOT NULL,
  PRIMARY KEY (instance, account, chat)
) STRICT, WITHOUT ROWID;
