-- Who runs what. All times are this server's own (clock_timestamp()): no clock of a worker's host is ever written here.

-- A worker, from the start of its process to its end. Every transaction on the journal holds its row (FOR KEY SHARE), so
-- whoever takes a dead worker's instances deletes the row first: that waits for what is under way, and ends the rest.
CREATE TABLE workers (
  id          uuid PRIMARY KEY,            -- new at each start of a process, never used again
  host        text NOT NULL,
  version     text NOT NULL,
  capacity    integer NOT NULL,            -- most instances that it takes now, 1000000: no limit
  draining    boolean NOT NULL DEFAULT false,
  healthy     boolean NOT NULL DEFAULT true, -- some session of it gets through to WhatsApp
  expires_at  timestamptz NOT NULL,
  started_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- An instance. Its session's keys are in the schema wa_<n>_<token>, which is renamed whenever the owner changes: who has
-- an old token finds no table.
CREATE TABLE instances (
  id          text PRIMARY KEY,            -- the proxy's id
  n           bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  owner       uuid,                        -- workers.id. No foreign key: a dead worker's row goes first
  token       bigint NOT NULL DEFAULT 0,   -- grows with each change of owner
  wanted      boolean NOT NULL DEFAULT true, -- the proxy lists it, or did and has not let go of it
  paired      boolean NOT NULL DEFAULT false,
  not_before  timestamptz NOT NULL DEFAULT '-infinity', -- nobody takes it before that
  claims      integer NOT NULL DEFAULT 0,  -- how often it was taken since a session of it was last proven
  claimed_at  timestamptz,
  egress      text                         -- JSON: the proxy through which it goes out, as proxy.json on a volume
);

CREATE INDEX instances_owner ON instances (owner);
