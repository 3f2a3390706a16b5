-- A journal of format 1 with rows in every state, written by the code of that format. Made with SQLite's own dump.
-- Some rows were forgotten, so that the sequences stand above the highest seq. Never to be edited.
BEGIN TRANSACTION;
CREATE TABLE chats (
  id        INTEGER PRIMARY KEY,
  instance  TEXT NOT NULL,
  jid       TEXT NOT NULL,
  UNIQUE (instance, jid)
) STRICT;
INSERT INTO "chats" VALUES(1,'shop','5511988880001@s.whatsapp.net');
INSERT INTO "chats" VALUES(2,'shop','5511988880002@s.whatsapp.net');
INSERT INTO "chats" VALUES(3,'other','5511988880001@s.whatsapp.net');
INSERT INTO "chats" VALUES(4,'shop','98765432109876@lid');
CREATE TABLE holds (
  instance  TEXT PRIMARY KEY,
  reason    TEXT NOT NULL,
  until     REAL NOT NULL,
  count     INTEGER NOT NULL DEFAULT 1
) STRICT;
INSERT INTO "holds" VALUES('shop','REPLACED',1.79564854004279875754e+09,2);
INSERT INTO "holds" VALUES('other','BANNED',1.79565178004319071771e+09,1);
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
INSERT INTO "inbox" VALUES(2,1,'posted-1',NULL,'posted',0,NULL,1.79564818001843833918e+09,1.79564818002861046795e+09);
INSERT INTO "inbox" VALUES(3,1,'pending-1','{"wa_id":"pending-1","chat":"5511988880001@s.whatsapp.net","chat_type":"direct","to":"5511999990001@s.whatsapp.net","sender":"5511988880001@s.whatsapp.net","sender_lid":null,"push_name":null,"body":"body of pending-1","message_type":"text","timestamp":1700000000}','pending',0,NULL,1.79564818001882052422e+09,NULL);
INSERT INTO "inbox" VALUES(4,2,'pending-2','{"wa_id":"pending-2","chat":"5511988880002@s.whatsapp.net","chat_type":"direct","to":"5511999990001@s.whatsapp.net","sender":"5511988880002@s.whatsapp.net","sender_lid":"98765432109876@lid","push_name":"Ana ''Maria''","body":"ação 😀\nlinha","message_type":"text","timestamp":1700000000}','pending',0,NULL,1.79564818001929473877e+09,NULL);
INSERT INTO "inbox" VALUES(5,3,'dead-1','{"wa_id":"dead-1","chat":"5511988880001@s.whatsapp.net","chat_type":"direct","to":"5511999990001@s.whatsapp.net","sender":"5511988880001@s.whatsapp.net","sender_lid":null,"push_name":null,"body":"poison","message_type":"text","timestamp":1700000000}','dead',2,'answered 422 (it''s bad)',1.79564818002064824102e+09,1.79564818002861046795e+09);
INSERT INTO "inbox" VALUES(6,2,'discarded-1',NULL,'posted',0,'discarded by a person',1.7956481800220034122e+09,1.7956481800439183712e+09);
INSERT INTO "inbox" VALUES(7,3,'pending-3','{"wa_id":"pending-3","chat":"5511988880001@s.whatsapp.net","chat_type":"direct","to":"5511999990001@s.whatsapp.net","sender":"5511988880001@s.whatsapp.net","sender_lid":null,"push_name":null,"body":"Oi","message_type":"text","timestamp":1700000000}','pending',1,'answered 400',1.79564818002318811419e+09,NULL);
INSERT INTO "inbox" VALUES(8,1,'pending-4','{"wa_id":"pending-4","chat":"5511988880001@s.whatsapp.net","chat_type":"direct","to":"5511999990001@s.whatsapp.net","sender":"5511988880001@s.whatsapp.net","sender_lid":null,"push_name":null,"body":"Oi","message_type":"text","timestamp":1700000000}','pending',0,NULL,1.79564818002474737169e+09,NULL);
INSERT INTO "inbox" VALUES(9,4,'pending-5','{"wa_id":"pending-5","chat":"98765432109876@lid","chat_type":"direct","to":"5511999990001@s.whatsapp.net","sender":"98765432109876@lid","sender_lid":"98765432109876@lid","push_name":null,"body":"Oi","message_type":"text","timestamp":1700000000}','pending',0,NULL,1.79564818002656579015e+09,NULL);
INSERT INTO "inbox" VALUES(10,1,'posted-2',NULL,'posted',0,NULL,1.79564818002696108822e+09,1.79564818002861046795e+09);
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
INSERT INTO "outbox" VALUES(2,'shop','7','5511988880001@s.whatsapp.net','waiting',NULL,0,0,0.0,NULL,0,1.79564818002915644644e+09,1.79564818002915644644e+09);
INSERT INTO "outbox" VALUES(3,'shop','"7"','5511988880002@s.whatsapp.net','waiting',NULL,0,0,0.0,NULL,0,1.79564818002915644644e+09,1.79564818002915644644e+09);
INSERT INTO "outbox" VALUES(4,'shop','"intent"','5511988880001@s.whatsapp.net','intent',NULL,1,0,0.0,NULL,0,1.79564818002915644644e+09,1.79564818004191708569e+09);
INSERT INTO "outbox" VALUES(5,'shop','"sent"','5511988880002@s.whatsapp.net','sent','3EB0A',1,0,1.79564818003505873682e+09,NULL,0,1.79564818002915644644e+09,1.79564818003505873682e+09);
INSERT INTO "outbox" VALUES(6,'shop','"marked"','5511988880001@s.whatsapp.net','marked','3EB0B',1,0,1.79564818003595805164e+09,NULL,1,1.79564818002915644644e+09,1795648180.03817);
INSERT INTO "outbox" VALUES(7,'shop','"failed"','5511988880002@s.whatsapp.net','failed',NULL,1,0,1.79564818003686952588e+09,'not on WhatsApp',0,1.79564818002915644644e+09,1.79564818003686952588e+09);
INSERT INTO "outbox" VALUES(8,'shop','"failed-told"','5511988880001@s.whatsapp.net','failed',NULL,1,0,1.79564818003769850729e+09,'it''s too long',1,1.79564818002915644644e+09,1795648180.03817);
INSERT INTO "outbox" VALUES(9,'shop','"uncertain"','5511988880002@s.whatsapp.net','uncertain',NULL,1,1,1.79564818003901338575e+09,'timed out',0,1.79564818002915644644e+09,1.79564818003901338575e+09);
INSERT INTO "outbox" VALUES(10,'shop','"resent"','5511988880001@s.whatsapp.net','waiting',NULL,1,1,1.79564818003987455366e+09,'timed out',0,1.79564818002915644644e+09,1.79564818003987455366e+09);
INSERT INTO "outbox" VALUES(11,'shop','"pausing"','5511988880002@s.whatsapp.net','waiting',NULL,1,0,1.79565178004070568089e+09,'answered 463',0,1.79564818002915644644e+09,1.7956481800407056808e+09);
INSERT INTO "outbox" VALUES(12,'shop','"discarded"','5511988880001@s.whatsapp.net','failed',NULL,1,1,1.79564818004148960117e+09,'discarded by a person',0,1.79564818002915644644e+09,1.7956481800440590381e+09);
INSERT INTO "outbox" VALUES(13,'shop','"ação"','5511988880002@s.whatsapp.net','waiting',NULL,0,0,0.0,NULL,0,1.79564818002915644644e+09,1.79564818002915644644e+09);
INSERT INTO "outbox" VALUES(15,'other','7','5511988880001@s.whatsapp.net','waiting',NULL,0,0,0.0,NULL,0,1.79564818002990794179e+09,1.79564818002990794179e+09);
INSERT INTO "outbox" VALUES(16,'other','"nowhere"',NULL,'waiting',NULL,0,0,0.0,NULL,0,1.79564818002990794179e+09,1.79564818002990794179e+09);
CREATE INDEX inbox_lanes ON inbox (chat, seq) WHERE state = 'pending';
CREATE INDEX inbox_dead ON inbox (seq) WHERE state = 'dead';
CREATE INDEX inbox_settled ON inbox (settled_at) WHERE state <> 'pending';
CREATE INDEX outbox_to_tell ON outbox (instance, seq) WHERE state = 'sent' OR (state = 'failed' AND told = 0);
CREATE INDEX outbox_attention ON outbox (state, seq) WHERE state IN ('waiting', 'intent', 'failed', 'uncertain');
CREATE INDEX outbox_settled ON outbox (changed_at) WHERE state IN ('waiting', 'marked', 'failed', 'uncertain');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('inbox',11);
INSERT INTO "sqlite_sequence" VALUES('outbox',17);
COMMIT;
PRAGMA user_version=1;
