-- The worker-proxy's tables and calls (contract v1, see ../contract.md).
--
-- index.ts checks requests and speaks HTTP; what each call does to the data is here, one function per call, so that
-- each is one round trip and one transaction. Run it as often as you like: a second run changes nothing.
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

-- Indexes: one for each poll, and one that deleting an instance needs.

create index if not exists wa_instances_to_do
  on public.wa_instances (id) where (enabled and status <> 'CONNECTED') or (not enabled and status = 'CONNECTED');
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
  if not new.enabled and new.status = 'CONNECTING' then
    new.status := 'DISCONNECTED';
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

-- POST /update-status. True if it was stored; false if there is no such instance (any more). Never null: that is what
-- index.ts sees when something else answered.
create or replace function public.wa_update_status(p_instance_id text, p_status text, p_qr_code text) returns boolean
language sql volatile set search_path = '' as $$
  with stored as (
    update public.wa_instances
    set status = case when enabled then p_status else 'DISCONNECTED' end,
        qr_code = p_qr_code
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

-- POST /mark-sent. "sent"; "other" if it was sent before under another id, which stays; "deleted"; "unknown".
create or replace function public.wa_mark_sent(p_message_id bigint, p_wa_message_id text) returns text
language plpgsql volatile set search_path = '' as $$
declare
  kept text;
begin
  update public.wa_messages
  set status = 'sent', wa_message_id = p_wa_message_id, error = null, sent_at = now()
  where id = p_message_id and status <> 'sent';
  if found then
    return 'sent';
  end if;
  select wa_message_id into kept from public.wa_messages where id = p_message_id;
  if found then
    return case when kept is distinct from p_wa_message_id then 'other' else 'sent' end;
  end if;
  return public.wa_missing_message(p_message_id);
end
$$;

-- POST /mark-failed. "failed"; "sent" if it was sent, and stays so; "deleted"; "unknown".
create or replace function public.wa_mark_failed(p_message_id bigint, p_error text) returns text
language plpgsql volatile set search_path = '' as $$
declare
  kept text;
begin
  update public.wa_messages
  set status = 'failed', error = p_error
  where id = p_message_id and status = 'queued';
  if found then
    return 'failed';
  end if;
  select status into kept from public.wa_messages where id = p_message_id;
  if found then
    return kept;
  end if;
  return public.wa_missing_message(p_message_id);
end
$$;

-- POST /inbound. "new", "repeat", or "unknown" if there is no such instance. What came for an instance that was
-- switched off meanwhile is kept: the worker has acknowledged it to WhatsApp.
create or replace function public.wa_add_inbound(
  p_instance_id text, p_chat_id text, p_wa_message_id text, p_chat_type text, p_from text, p_to text, p_body text,
  p_sender_id text, p_sender_lid text, p_push_name text, p_message_type text, p_timestamp bigint
) returns text
language plpgsql volatile set search_path = '' as $$
begin
  insert into public.wa_inbound (
    instance_id, chat_id, wa_message_id, chat_type, "from", "to", body,
    sender_id, sender_lid, push_name, message_type, sent_at)
  select
    id, p_chat_id, p_wa_message_id, p_chat_type, p_from, p_to, p_body,
    p_sender_id, p_sender_lid, p_push_name, p_message_type, to_timestamp(p_timestamp)
  from public.wa_instances
  where id = p_instance_id
  on conflict on constraint wa_inbound_once do nothing;
  if found then
    return 'new';
  end if;
  return case when exists (select from public.wa_instances where id = p_instance_id) then 'repeat' else 'unknown' end;
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
  public.wa_update_status(text, text, text),
  public.wa_queued_messages(text, integer),
  public.wa_missing_message(bigint),
  public.wa_mark_sent(bigint, text),
  public.wa_mark_failed(bigint, text),
  public.wa_add_inbound(text, text, text, text, text, text, text, text, text, text, text, bigint)
from public, anon, authenticated;
grant execute on function
  public.wa_disconnected_instances(),
  public.wa_update_status(text, text, text),
  public.wa_queued_messages(text, integer),
  public.wa_missing_message(bigint),
  public.wa_mark_sent(bigint, text),
  public.wa_mark_failed(bigint, text),
  public.wa_add_inbound(text, text, text, text, text, text, text, text, text, text, text, bigint)
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
