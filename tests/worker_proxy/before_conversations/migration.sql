-- The worker-proxy's tables and calls (contract, versions 1 and 2: see ../contract.md).
--
-- index.ts checks requests and speaks HTTP; what each call does to the data is here, so that each is one round trip and
-- one transaction. Run it as often as you like: a second run changes nothing. Run it before you deploy a newer index.ts:
-- the older one goes on working on it.
-- PostgreSQL 14 or later, with Supabase's roles anon, authenticated and service_role.

-- Tables

create table if not exists public.wa_instances (
  id text primary key default gen_random_uuid()::text
    constraint wa_instances_id_is_a_file_name check (id ~ '^[A-Za-z0-9._-]{1,128}$' and id not in ('.', '..')),
  tenant_id uuid,
  enabled boolean not null default true,
  status text not null default 'DISCONNECTED'
    constraint wa_instances_status check (status in ('CONNECTING', 'CONNECTED', 'DISCONNECTED')),
  qr_code text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.wa_instances is 'WhatsApp sessions. The worker brings up those that are enabled.';
comment on column public.wa_instances.id is 'A folder on the worker''s volume. Never give an id to another customer.';
comment on column public.wa_instances.tenant_id is 'Whose it is, for your policies. The worker does not know it.';
comment on column public.wa_instances.enabled is
  'False: the worker is told that the instance is gone. It logs nobody out and keeps the session for the next time.';
comment on column public.wa_instances.status is 'What the worker said last.';
comment on column public.wa_instances.qr_code is 'A PNG as a data URL while somebody has to scan it, else null.';

create table if not exists public.wa_messages (
  id bigint generated always as identity primary key,
  instance_id text not null references public.wa_instances (id) on delete cascade,
  "to" text not null constraint wa_messages_to check ("to" <> ''),
  body text not null constraint wa_messages_body check (char_length(body) between 1 and 65536),
  status text not null default 'queued'
    constraint wa_messages_status check (status in ('queued', 'sent', 'failed')),
  wa_message_id text,
  error text,
  queued_at timestamptz not null default now(),
  sent_at timestamptz,
  updated_at timestamptz not null default now()
);
comment on table public.wa_messages is 'The outbox: insert a row to send a message.';
comment on column public.wa_messages.id is
  'The worker''s ledger knows a message by it for ever: a sent or failed row that is set back to queued is not sent '
  'again. Insert a new row instead.';
comment on column public.wa_messages."to" is 'A phone number with its country code, or a JID.';
comment on column public.wa_messages.error is 'Why it failed, for people.';

create table if not exists public.wa_inbound (
  id bigint generated always as identity primary key,
  instance_id text not null references public.wa_instances (id) on delete cascade,
  chat_id text not null,
  wa_message_id text not null,
  chat_type text constraint wa_inbound_chat_type check (chat_type in ('direct', 'group')),
  "from" text not null,
  "to" text not null,
  body text not null,
  sender_id text,
  sender_lid text,
  push_name text,
  message_type text,
  sent_at timestamptz,
  received_at timestamptz not null default now(),
  constraint wa_inbound_once unique (instance_id, chat_id, wa_message_id)
);
comment on table public.wa_inbound is 'Messages received, each once. Within a chat, id goes in the order of arrival.';
comment on column public.wa_inbound.push_name is 'The name the sender chose; anybody can choose any name.';
comment on column public.wa_inbound.sent_at is 'When it was sent, by WhatsApp''s clock; maybe long before received_at.';

-- Columns that came later: an installation that has the tables gets them here. All may be null, as they are for what
-- a worker of before has said.

alter table public.wa_instances
  add column if not exists reason text,
  add column if not exists until timestamptz,
  add column if not exists action text,
  add column if not exists jid text,
  add column if not exists push_name text,
  add column if not exists since timestamptz;
comment on column public.wa_instances.reason is
  'Why it has this status, one word: scan, connected, reconnecting, logged_out, banned, worker_stopping and others.';
comment on column public.wa_instances.until is 'When the worker tries next, if it knows.';
comment on column public.wa_instances.action is
  'What somebody has to do: scan, wait, upgrade, check_phone or passkey. Null: nothing.';
comment on column public.wa_instances.jid is 'The account''s own JID, once it is known.';
comment on column public.wa_instances.push_name is 'The account''s own name.';
comment on column public.wa_instances.since is 'Since when the reason holds.';

alter table public.wa_messages
  add column if not exists sent_to text;
comment on column public.wa_messages.sent_to is 'The JID that it went to, if the worker named one.';

alter table public.wa_inbound
  add column if not exists interactive jsonb,
  add column if not exists button jsonb;
comment on column public.wa_inbound.interactive is
  'The option that was chosen: {"type", "button_reply" or "list_reply": {"id", "title"}}, or an answered form.';
comment on column public.wa_inbound.button is 'The button that was pressed: {"payload", "text"}.';

-- Indexes: one for each poll, and one that deleting an instance needs.

create index if not exists wa_instances_to_do
  on public.wa_instances (id) where (enabled and status <> 'CONNECTED') or (not enabled and status = 'CONNECTED');
create index if not exists wa_instances_off
  on public.wa_instances (id) where not enabled;
create index if not exists wa_messages_queued
  on public.wa_messages (instance_id, queued_at, id) where status = 'queued';
create index if not exists wa_messages_of_instance
  on public.wa_messages (instance_id, id);

-- Triggers: true whoever writes, the worker or you.

create or replace function public.wa_touch() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  return new;
end
$$;

create or replace function public.wa_touch_instance() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  -- Nobody connects it any more, and the worker, which is stopped by its list, says nothing more of it.
  if not new.enabled and new.status <> 'CONNECTED' then
    new.status := 'DISCONNECTED';
    new.reason := null;
    new.until := null;
    new.action := null;
    new.since := null;
  end if;
  -- A code that nobody can scan any more must not stay on a page.
  if new.status <> 'CONNECTING' then
    new.qr_code := null;
  end if;
  return new;
end
$$;

create or replace trigger wa_instances_touch before insert or update on public.wa_instances
  for each row execute function public.wa_touch_instance();
create or replace trigger wa_messages_touch before update on public.wa_messages
  for each row execute function public.wa_touch();

-- The calls

-- GET /disconnected-instances: [{"id"}].
-- One that was switched off while connected is listed too: the worker then announces CONNECTED, is told that the
-- instance is gone, and stops at once rather than when the worker next posts its status, up to ten minutes later.
create or replace function public.wa_disconnected_instances() returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', id) order by id), '[]')
  from public.wa_instances
  where (enabled and status <> 'CONNECTED') or (not enabled and status = 'CONNECTED')
$$;

-- A status. True if it was stored; false if there is no such instance (any more). What the worker does not say is null.
drop function if exists public.wa_update_status(text, text, text);
create or replace function public.wa_update_status(
  p_instance_id text, p_status text, p_qr_code text,
  p_reason text default null, p_until bigint default null, p_action text default null,
  p_jid text default null, p_push_name text default null, p_since bigint default null
) returns boolean
language sql volatile set search_path = '' as $$
  with stored as (
    update public.wa_instances
    set status = case when enabled then p_status else 'DISCONNECTED' end,
        qr_code = p_qr_code,
        reason = p_reason,
        until = to_timestamp(p_until),
        action = p_action,
        jid = p_jid,
        push_name = p_push_name,
        since = to_timestamp(p_since)
    where id = p_instance_id
    returning enabled)
  select coalesce((select enabled from stored), false)
$$;

-- GET /queued-messages: [{"id", "to", "body"}], oldest first. A page ends after 4 MiB of texts, too: the worker reads an
-- answer of up to 32 MiB, JSON can make six bytes of one, and an Edge Function has little memory.
create or replace function public.wa_queued_messages(p_instance_id text, p_limit integer) returns jsonb
language sql stable set search_path = '' as $$
  with page as (
    select id, "to", body, queued_at
    from public.wa_messages
    where instance_id = p_instance_id and status = 'queued'
      and exists (select from public.wa_instances where id = p_instance_id and enabled)
    order by queued_at, id
    limit p_limit),
  measured as (
    select *, sum(octet_length(body)) over (order by queued_at, id) - octet_length(body) as bytes_before
    from page)
  select coalesce(
    jsonb_agg(jsonb_build_object('id', id, 'to', "to", 'body', body) order by queued_at, id)
      filter (where bytes_before < 4 * 1024 * 1024), '[]')
  from measured
$$;

-- What a mark for a row that is not there means: "deleted" meanwhile, or an id that was never given out ("unknown").
create or replace function public.wa_missing_message(p_message_id bigint) returns text
language sql stable set search_path = '' as $$
  select case when is_called and p_message_id between 1 and last_value then 'deleted' else 'unknown' end
  from public.wa_messages_id_seq
$$;

-- A message was sent. "sent"; "other" if it was sent before under another id, which stays; "deleted"; "unknown", also
-- for one of another instance than was named.
drop function if exists public.wa_mark_sent(bigint, text);
create or replace function public.wa_mark_sent(
  p_message_id bigint, p_wa_message_id text, p_to text default null, p_instance_id text default null
) returns text
language plpgsql volatile set search_path = '' as $$
declare
  found_row record;
begin
  update public.wa_messages
  set status = 'sent', wa_message_id = p_wa_message_id, error = null, sent_at = now(), sent_to = p_to
  where id = p_message_id and status <> 'sent' and instance_id = coalesce(p_instance_id, instance_id);
  if found then
    return 'sent';
  end if;
  select instance_id, wa_message_id into found_row from public.wa_messages where id = p_message_id;
  if not found then
    return public.wa_missing_message(p_message_id);
  elsif found_row.instance_id <> p_instance_id then
    return 'unknown';
  end if;
  return case when found_row.wa_message_id is distinct from p_wa_message_id then 'other' else 'sent' end;
end
$$;

-- A message cannot be sent. "failed"; "sent" if it was sent, and stays so; "deleted"; "unknown".
drop function if exists public.wa_mark_failed(bigint, text);
create or replace function public.wa_mark_failed(
  p_message_id bigint, p_error text, p_instance_id text default null
) returns text
language plpgsql volatile set search_path = '' as $$
declare
  found_row record;
begin
  update public.wa_messages
  set status = 'failed', error = p_error
  where id = p_message_id and status = 'queued' and instance_id = coalesce(p_instance_id, instance_id);
  if found then
    return 'failed';
  end if;
  select instance_id, status into found_row from public.wa_messages where id = p_message_id;
  if not found then
    return public.wa_missing_message(p_message_id);
  elsif found_row.instance_id <> p_instance_id then
    return 'unknown';
  end if;
  return found_row.status;
end
$$;

-- A message came in. "new", "repeat", or "unknown" if there is no such instance. What came for an instance that was
-- switched off meanwhile is kept: the worker has acknowledged it to WhatsApp.
drop function if exists public.wa_add_inbound(
  text, text, text, text, text, text, text, text, text, text, text, bigint);
create or replace function public.wa_add_inbound(
  p_instance_id text, p_chat_id text, p_wa_message_id text, p_chat_type text, p_from text, p_to text, p_body text,
  p_sender_id text, p_sender_lid text, p_push_name text, p_message_type text, p_timestamp bigint,
  p_interactive jsonb default null, p_button jsonb default null
) returns text
language plpgsql volatile set search_path = '' as $$
begin
  insert into public.wa_inbound (
    instance_id, chat_id, wa_message_id, chat_type, "from", "to", body,
    sender_id, sender_lid, push_name, message_type, sent_at, interactive, button)
  select
    id, p_chat_id, p_wa_message_id, p_chat_type, p_from, p_to, p_body,
    p_sender_id, p_sender_lid, p_push_name, p_message_type, to_timestamp(p_timestamp), p_interactive, p_button
  from public.wa_instances
  where id = p_instance_id
  on conflict on constraint wa_inbound_once do nothing;
  if found then
    return 'new';
  end if;
  return case when exists (select from public.wa_instances where id = p_instance_id) then 'repeat' else 'unknown' end;
end
$$;

-- One event, as index.ts gives it once it has checked it: what became of it, in a word. Those of the functions above;
-- for a status "stored" or "unknown"; "error" and the SQLSTATE if PostgreSQL refused it, which takes nothing of the
-- other events with it. "refused" is for what index.ts has found to be no event, and which only has its place here.
create or replace function public.wa_take_event(p_event jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  code text;
begin
  case p_event ->> 'type'
    when 'inbound' then
      return public.wa_add_inbound(
        p_event ->> 'instance_id', p_event ->> 'chat_id', p_event ->> 'wa_message_id', p_event ->> 'chat_type',
        p_event ->> 'from', p_event ->> 'to', p_event ->> 'body',
        p_event ->> 'sender_id', p_event ->> 'sender_lid', p_event ->> 'push_name', p_event ->> 'message_type',
        (p_event ->> 'timestamp')::bigint,
        nullif(p_event -> 'interactive', 'null'), nullif(p_event -> 'button', 'null'));
    when 'sent' then
      return public.wa_mark_sent(
        (p_event ->> 'message_id')::bigint, p_event ->> 'wa_message_id', p_event ->> 'to', p_event ->> 'instance_id');
    when 'failed' then
      return public.wa_mark_failed(
        (p_event ->> 'message_id')::bigint, p_event ->> 'error', p_event ->> 'instance_id');
    when 'status' then
      return case
        when public.wa_update_status(
          p_event ->> 'instance_id', p_event ->> 'status', p_event ->> 'qr_code',
          p_event ->> 'reason', (p_event ->> 'until')::bigint, p_event ->> 'action',
          p_event ->> 'jid', p_event ->> 'push_name', (p_event ->> 'since')::bigint)
        then 'stored' else 'unknown' end;
    when 'refused' then
      return 'refused';
  end case;
exception
when deadlock_detected or serialization_failure then
  -- Another transaction waits for what this one has locked: only all of it lets go of that.
  raise;
when others then
  get stacked diagnostics code = returned_sqlstate;
  return 'error ' || code;
end
$$;

-- POST /events, and each call of version 1 that stores something, which is a batch of one: a list with a word for each
-- event, in order. Once an event of a chat was not taken, its later ones are "held" back, so that the chat stays in
-- order. All of it is one transaction: what ends the statement as such (a time-out, a deadlock) undoes everything.
create or replace function public.wa_events(p_events jsonb) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  event jsonb;
  chat jsonb;
  held jsonb[] := '{}';
  word text;
  words text[] := '{}';
begin
  for event in select value from jsonb_array_elements(p_events) with ordinality order by ordinality loop
    chat := case when event ? 'from' then jsonb_build_array(event -> 'instance_id', event -> 'from') end;
    if chat = any (held) then
      word := 'held';
    else
      word := public.wa_take_event(event);
      if chat is not null and word not in ('new', 'repeat') then
        held := held || chat;
      end if;
    end if;
    words := words || word;
  end loop;
  return to_jsonb(words);
end
$$;

-- The instances that have a message queued: one step in the index for each, however many messages wait. With nothing
-- queued it is one step in an empty index, which is what most looks of a held poll find.
create or replace function public.wa_busy_instances() returns setof text
language sql stable set search_path = '' as $$
  with recursive busy as (
    (select instance_id from public.wa_messages where status = 'queued' order by instance_id limit 1)
    union all
    select (
      select instance_id from public.wa_messages
      where status = 'queued' and instance_id > busy.instance_id
      order by instance_id limit 1)
    from busy
    where busy.instance_id is not null)
  select instance_id from busy where instance_id is not null
$$;

-- A page of what the instances have yet to send: [{"instanceId", "id", "to", "body"}], the oldest of each, then the
-- second of each and so on. It ends after p_limit rows or p_bytes of JSON, and has one row if there is one.
create or replace function public.wa_page(p_instances text[], p_limit integer, p_bytes integer) returns jsonb
language sql stable set search_path = '' as $$
  with turns as (
    select waiting.*
    from public.wa_busy_instances() as busy (id)
    join (select distinct id from unnest(p_instances) as asked (id)) as asked using (id)
    join public.wa_instances as instance on instance.id = busy.id and instance.enabled
    cross join lateral (
      select id, queued_at, row_number() over (order by queued_at, id) as turn
      from public.wa_messages
      where instance_id = busy.id and status = 'queued'
      order by queued_at, id
      limit p_limit) as waiting
    order by turn, queued_at, id
    limit p_limit),
  listed as (
    select turn, turns.queued_at, id,
      jsonb_build_object('instanceId', instance_id, 'id', id, 'to', "to", 'body', body) as message
    from turns join public.wa_messages using (id)),
  measured as (
    select *, sum(octet_length(message::text) + 2) over listing as bytes, row_number() over listing as place
    from listed
    window listing as (order by turn, queued_at, id))
  select coalesce(
    jsonb_agg(message order by turn, queued_at, id) filter (where bytes <= p_bytes or place = 1), '[]')
  from measured
$$;

-- The instances that /poll lists: those of GET /disconnected-instances, and each that was switched off and that the
-- worker still takes for connected. It announces what is listed, and hears that it is gone; it wants to hear that a few
-- times, with an answer to a poll between, and those are held otherwise.
create or replace function public.wa_listed(p_connected text[]) returns setof text
language sql stable set search_path = '' as $$
  select id from public.wa_instances
  where (enabled and status <> 'CONNECTED') or (not enabled and status = 'CONNECTED')
  union
  select id from public.wa_instances
  where not enabled and id in (select unnest(p_connected))
$$;

-- Whether a held poll has to end: there is a message for an instance that can send it, or the list of instances is not
-- what the worker must think it is from what it believes of them itself. p_down: the asked ones that are not connected;
-- p_other: those of which the worker says something that is unknown here; what is in none of the lists is busy sending.
create or replace function public.wa_poll_is_due(p_connected text[], p_down text[], p_other text[]) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  listed text[] := array(select public.wa_listed(p_connected));
begin
  return exists (select unnest(listed) except select unnest(p_down || p_other))
    or exists (select unnest(p_down) except select unnest(listed))
    or exists (
      select from public.wa_busy_instances() as busy (id)
      join public.wa_instances as instance on instance.id = busy.id and instance.enabled
      where busy.id in (select unnest(p_connected)));
end
$$;

-- POST /poll, one look: {"instances", "messages", "due"}, of p_bytes at most. With nothing due it waits here for up to
-- p_hold_ms milliseconds and looks every quarter of a second, if one of the two places for that is free; otherwise it
-- answers at once, and index.ts looks again in a second. So however many workers poll, and however many polls were given
-- up by their workers, which PostgREST goes on with to their end, two of its connections are taken by waiting at most.
create or replace function public.wa_poll(
  p_connected text[], p_down text[], p_other text[], p_hold_ms integer, p_limit integer, p_bytes integer
) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  due boolean := public.wa_poll_is_due(p_connected, p_down, p_other);
  waits_until timestamptz := clock_timestamp() + p_hold_ms * interval '1 millisecond';
  listed jsonb;
begin
  if not due and p_hold_ms > 0 and (
    pg_try_advisory_xact_lock(hashtext('wa_poll'), 1) or pg_try_advisory_xact_lock(hashtext('wa_poll'), 2)
  ) then
    while not due and clock_timestamp() < waits_until loop
      perform pg_sleep(least(0.25, extract(epoch from waits_until - clock_timestamp())));
      due := public.wa_poll_is_due(p_connected, p_down, p_other);
    end loop;
  end if;
  listed := (
    select coalesce(jsonb_agg(jsonb_build_object('id', id) order by id), '[]')
    from public.wa_listed(p_connected) as instance (id));
  return jsonb_build_object(
    'instances', listed,
    'messages', public.wa_page(p_connected, p_limit, p_bytes - octet_length(listed::text)),
    'due', due);
end
$$;

-- Who may: the Edge Function and your own back end (service_role), and nobody else until you say so.

alter table public.wa_instances enable row level security;
alter table public.wa_messages enable row level security;
alter table public.wa_inbound enable row level security;

revoke all on table public.wa_instances, public.wa_messages, public.wa_inbound from anon, authenticated;
revoke all on sequence public.wa_messages_id_seq, public.wa_inbound_id_seq from anon, authenticated;
grant select, insert, update, delete on table public.wa_instances, public.wa_messages, public.wa_inbound
  to service_role;
grant usage, select on sequence public.wa_messages_id_seq, public.wa_inbound_id_seq to service_role;

revoke all on function
  public.wa_touch(),
  public.wa_touch_instance(),
  public.wa_disconnected_instances(),
  public.wa_update_status(text, text, text, text, bigint, text, text, text, bigint),
  public.wa_queued_messages(text, integer),
  public.wa_missing_message(bigint),
  public.wa_mark_sent(bigint, text, text, text),
  public.wa_mark_failed(bigint, text, text),
  public.wa_add_inbound(
    text, text, text, text, text, text, text, text, text, text, text, bigint, jsonb, jsonb),
  public.wa_take_event(jsonb),
  public.wa_events(jsonb),
  public.wa_busy_instances(),
  public.wa_page(text[], integer, integer),
  public.wa_listed(text[]),
  public.wa_poll_is_due(text[], text[], text[]),
  public.wa_poll(text[], text[], text[], integer, integer, integer)
from public, anon, authenticated;
grant execute on function
  public.wa_disconnected_instances(),
  public.wa_update_status(text, text, text, text, bigint, text, text, text, bigint),
  public.wa_queued_messages(text, integer),
  public.wa_missing_message(bigint),
  public.wa_mark_sent(bigint, text, text, text),
  public.wa_mark_failed(bigint, text, text),
  public.wa_add_inbound(
    text, text, text, text, text, text, text, text, text, text, text, bigint, jsonb, jsonb),
  public.wa_take_event(jsonb),
  public.wa_events(jsonb),
  public.wa_busy_instances(),
  public.wa_page(text[], integer, integer),
  public.wa_listed(text[]),
  public.wa_poll_is_due(text[], text[], text[]),
  public.wa_poll(text[], text[], text[], integer, integer, integer)
to service_role;

-- If your users read and queue from the browser: here tenant_id is the user's own id (with teams, put your own
-- condition in its place). They see what is theirs, queue messages for it, and change nothing else.
--
-- example policies:
-- grant select on table public.wa_instances, public.wa_messages, public.wa_inbound to authenticated;
-- grant insert (instance_id, "to", body) on table public.wa_messages to authenticated;
-- create policy "own instances" on public.wa_instances for select to authenticated
--   using (tenant_id = (select auth.uid()));
-- create policy "own messages" on public.wa_messages for select to authenticated
--   using (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
-- create policy "queue own messages" on public.wa_messages for insert to authenticated
--   with check (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
-- create policy "own inbound" on public.wa_inbound for select to authenticated
--   using (instance_id in (select id from public.wa_instances where tenant_id = (select auth.uid())));
-- :end of the example

-- The REST side of Supabase learns of new functions by this.
notify pgrst, 'reload schema';
