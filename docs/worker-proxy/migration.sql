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
  'What somebody has to do: scan, wait, upgrade, check_phone, passkey or check_proxy. Null: nothing.';
comment on column public.wa_instances.jid is 'The account''s own JID, once it is known.';
comment on column public.wa_instances.push_name is 'The account''s own name.';
comment on column public.wa_instances.since is 'Since when the reason holds.';

alter table public.wa_instances
  add column if not exists pair_phone text
    constraint wa_instances_pair_phone check (pair_phone ~ '^[0-9]{6,15}$'),
  add column if not exists pairing_code text,
  add column if not exists pairing_expires_at timestamptz;
comment on column public.wa_instances.pair_phone is
  'The number, in digits with the country code, that wants to be paired by a code, beside the QR code. Null: by that.';
comment on column public.wa_instances.pairing_code is 'What to type on that phone, until pairing_expires_at; else null.';

alter table public.wa_instances
  add column if not exists name text constraint wa_instances_name check (char_length(name) between 1 and 80);
comment on column public.wa_instances.name is 'What people call it. The worker does not know it.';

alter table public.wa_messages
  add column if not exists sent_to text,
  add column if not exists accepted_at timestamptz,
  add column if not exists type text,
  add column if not exists media jsonb,
  add column if not exists context jsonb,
  add column if not exists reaction jsonb,
  add column if not exists edit jsonb,
  add column if not exists revoke jsonb,
  add column if not exists location jsonb,
  add column if not exists contacts jsonb,
  add column if not exists poll jsonb,
  add column if not exists mentions jsonb,
  add column if not exists typing_ms integer
    constraint wa_messages_content check (
    (context is null or context ? 'message_id')
    and (mentions is null or jsonb_typeof(mentions) = 'array')
    and (typing_ms is null or typing_ms between 0 and 30000)
    and coalesce(
      case coalesce(type, 'text')
        when 'text' then body is not null
        when 'edit' then body is not null and edit ? 'message_id'
        when 'revoke' then revoke ? 'message_id'
        when 'reaction' then reaction ?& array['message_id', 'emoji']
        when 'location' then location ?& array['latitude', 'longitude']
        when 'contacts' then jsonb_typeof(contacts) = 'array'
        when 'poll' then poll ? 'name' and jsonb_typeof(poll -> 'options') = 'array'
        else type in ('image', 'video', 'audio', 'document', 'sticker') and media ? 'link'
      end, false));
alter table public.wa_messages alter column body drop not null;
alter table public.wa_messages
  add column if not exists held_reason text,
  add column if not exists held_until timestamptz;
comment on column public.wa_messages.held_reason is
  'Why a worker with PACE has held it back: rate, unknown_rate, first_per_day, restricted and others.';
comment on column public.wa_messages.held_until is 'Until when: /poll leaves it out, and those behind it in its chat.';

comment on column public.wa_messages.sent_to is 'The JID that it went to, if the worker named one.';
comment on column public.wa_messages.accepted_at is 'When WhatsApp took it, by its own clock.';
comment on column public.wa_messages.type is
  'text (or null), image, video, audio, document, sticker, location, contacts, reaction, edit, revoke or poll. What it '
  'consists of is in the column of that name, and in media for a file: {"link", "mime_type", "filename", "caption", '
  '"voice"}.';
comment on column public.wa_messages.body is 'A text and an edit need it; for a file it is the caption.';
comment on column public.wa_messages.context is 'What it answers: {"message_id"}.';
comment on column public.wa_messages.mentions is 'A list of JIDs or numbers.';
comment on column public.wa_messages.typing_ms is 'For how long the chat says "typing" before it goes.';

alter table public.wa_inbound
  add column if not exists interactive jsonb,
  add column if not exists button jsonb;
comment on column public.wa_inbound.interactive is
  'The option that was chosen: {"type", "button_reply" or "list_reply": {"id", "title"}}, or an answered form.';
comment on column public.wa_inbound.button is 'The button that was pressed: {"payload", "text"}.';

-- What a message holds besides its words, each as contract.md has it; null where it has none.
alter table public.wa_inbound
  add column if not exists from_me boolean,
  add column if not exists media jsonb,
  add column if not exists media_path text,
  add column if not exists context jsonb,
  add column if not exists reaction jsonb,
  add column if not exists edit jsonb,
  add column if not exists revoke jsonb,
  add column if not exists location jsonb,
  add column if not exists contacts jsonb,
  add column if not exists "order" jsonb,
  add column if not exists product jsonb,
  add column if not exists poll jsonb,
  add column if not exists poll_vote jsonb,
  add column if not exists event jsonb,
  add column if not exists referral jsonb,
  add column if not exists mentions jsonb,
  add column if not exists "group" jsonb,
  add column if not exists call jsonb;
comment on column public.wa_inbound.from_me is 'True: it was sent on the account''s own phone.';
comment on column public.wa_inbound.media is
  'A file: {"mime_type", "size", "sha256", "filename", ..., "url" or "error"}. It may get its url later.';
comment on column public.wa_inbound.media_path is 'Where the file is in the bucket wa-media: for createSignedUrl().';
comment on column public.wa_inbound.context is 'What it answers: {"message_id", "from", "body"}; whether it was forwarded.';
comment on column public.wa_inbound.reaction is '{"message_id", "emoji"}. What holds now is in wa_reactions.';
comment on column public.wa_inbound.edit is '{"message_id"} of what was edited: body is the new text.';
comment on column public.wa_inbound.revoke is '{"message_id", "by"} of what was deleted.';

create table if not exists public.wa_reactions (
  instance_id text not null references public.wa_instances (id) on delete cascade,
  chat_id text not null,
  message_id text not null,
  sender_id text not null,
  emoji text not null,
  reacted_at timestamptz not null,
  primary key (instance_id, chat_id, message_id, sender_id)
);
comment on table public.wa_reactions is 'The reaction of each sender to each message, as it is now.';
comment on column public.wa_reactions.message_id is 'The wa_message_id of what was reacted to.';
comment on column public.wa_reactions.emoji is 'Empty: it was taken back.';

create table if not exists public.wa_receipts (
  instance_id text not null references public.wa_instances (id) on delete cascade,
  wa_message_id text not null,
  chat_id text not null,
  recipient_id text not null,
  failed_at timestamptz,
  delivered_at timestamptz,
  read_at timestamptz,
  played_at timestamptz,
  error text,
  status text generated always as (
    case
      when played_at is not null then 'played' when read_at is not null then 'read'
      when delivered_at is not null then 'delivered' else 'failed'
    end) stored,
  primary key (instance_id, wa_message_id, chat_id, recipient_id)
);
comment on table public.wa_receipts is 'What became of a sent message at each of those it went to (the ticks).';
comment on column public.wa_receipts.status is 'The last by rank: failed, delivered, read, played. It never goes back.';

create table if not exists public.wa_chat_events (
  id bigint generated always as identity primary key,
  instance_id text not null references public.wa_instances (id) on delete cascade,
  chat_id text not null,
  event_type text not null,
  action text,
  "group" jsonb,
  participants jsonb,
  by text,
  announce boolean,
  description text,
  wa_message_id text,
  happened_at timestamptz,
  received_at timestamptz not null default now(),
  fingerprint text not null,
  constraint wa_chat_events_once unique (instance_id, fingerprint)
);
comment on table public.wa_chat_events is 'What happened in a group besides messages: its subject, who came and went.';
comment on column public.wa_chat_events.fingerprint is 'Of all that was said of it: told again, it is the same.';

-- No reference to the instance: its files outlive it until wa_expired_media() has named them.
create table if not exists public.wa_files (
  path text primary key,
  instance_id text not null,
  chat_id text not null,
  wa_message_id text not null,
  message_type text not null,
  mime_type text not null,
  size bigint not null,
  sha256 text not null,
  filename text,
  asked_at timestamptz not null default now()
);
comment on table public.wa_files is 'The files that workers were let to put into the bucket wa-media.';
comment on column public.wa_files.path is 'The tenant''s folder (the instance''s, where it has no tenant), and on from there.';

-- The bucket, if this is Supabase: private. Its size limit is yours to change; a worker sends MEDIA_MAX_MB at most.
do $$
begin
  if to_regclass('storage.buckets') is not null then
    insert into storage.buckets (id, name, public, file_size_limit)
    values ('wa-media', 'wa-media', false, 100 * 1024 * 1024)
    on conflict (id) do nothing;
    update storage.buckets set public = false where id = 'wa-media' and public;
  end if;
end
$$;

-- The proxies through which instances reach WhatsApp: a table by itself, since they hold passwords and whoever may read
-- wa_instances may read all of its columns. No policy for users, ever.
create table if not exists public.wa_instance_proxies (
  instance_id text primary key references public.wa_instances (id) on delete cascade,
  url text,
  changed_at timestamptz not null default now()
);
comment on table public.wa_instance_proxies is 'Through which proxy an instance reaches WhatsApp. For service_role alone.';
comment on column public.wa_instance_proxies.url is
  'http://, https:// or socks5://, with the user and the password. Null: no proxy any more. Without a row it keeps its own.';

-- Indexes: one for each poll, and one that deleting an instance needs.

create index if not exists wa_instances_to_do
  on public.wa_instances (id) where (enabled and status <> 'CONNECTED') or (not enabled and status = 'CONNECTED');
create index if not exists wa_instances_off
  on public.wa_instances (id) where not enabled;
create index if not exists wa_messages_queued
  on public.wa_messages (instance_id, queued_at, id) where status = 'queued';
create index if not exists wa_messages_held
  on public.wa_messages (instance_id, "to", held_until) where status = 'queued' and held_until is not null;
create index if not exists wa_messages_of_instance
  on public.wa_messages (instance_id, id);
create index if not exists wa_files_by_age
  on public.wa_files (asked_at);
create index if not exists wa_files_of_instance
  on public.wa_files (instance_id);

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
  -- What a worker has said before it has heard of another proxy would take the instance off its list: it says it again.
  if tg_op = 'UPDATE' and new.status = 'CONNECTED' and old.status = 'DISCONNECTED' and exists (
    select from public.wa_instance_proxies as proxy
    where proxy.instance_id = new.id and proxy.changed_at > now() - interval '30 seconds'
  ) then
    new.status := old.status;
  end if;
  -- A code that nobody can scan any more must not stay on a page.
  if new.status <> 'CONNECTING' then
    new.qr_code := null;
    new.pairing_code := null;
    new.pairing_expires_at := null;
  end if;
  return new;
end
$$;

create or replace trigger wa_instances_touch before insert or update on public.wa_instances
  for each row execute function public.wa_touch_instance();
-- Another proxy: the instance is listed, so that its worker hears of it and goes over.
create or replace function public.wa_proxy_changed() returns trigger
language plpgsql set search_path = '' as $$
begin
  if tg_op = 'UPDATE' and new.url is not distinct from old.url then
    return new;
  end if;
  if tg_when = 'BEFORE' then
    new.changed_at := now();
  else
    update public.wa_instances set status = 'DISCONNECTED' where id = new.instance_id and status = 'CONNECTED' and enabled;
  end if;
  return new;
end
$$;

create or replace trigger wa_instance_proxies_touch before insert or update on public.wa_instance_proxies
  for each row execute function public.wa_proxy_changed();
create or replace trigger wa_instance_proxies_listed after insert or update on public.wa_instance_proxies
  for each row execute function public.wa_proxy_changed();
create or replace trigger wa_messages_touch before update on public.wa_messages
  for each row execute function public.wa_touch();

-- The calls

-- What a list says of an instance's proxy: nothing, if it never had one; null, if it has none any more.
create or replace function public.wa_proxy_of(p_instance_id text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(
    (select jsonb_build_object('proxy', url) from public.wa_instance_proxies where instance_id = p_instance_id), '{}')
$$;

-- GET /disconnected-instances: [{"id", "pair_phone" if it has one, "proxy" if it ever had one}].
-- One that was switched off while connected is listed too: the worker then announces CONNECTED, is told that the
-- instance is gone, and stops at once rather than when the worker next posts its status, up to ten minutes later.
create or replace function public.wa_disconnected_instances() returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(
    jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', id, 'pair_phone', pair_phone)) || public.wa_proxy_of(id)
      order by id), '[]')
  from public.wa_instances
  where (enabled and status <> 'CONNECTED') or (not enabled and status = 'CONNECTED')
$$;

-- A status. True if it was stored; false if there is no such instance (any more). What the worker does not say is null.
drop function if exists public.wa_update_status(text, text, text);
drop function if exists public.wa_update_status(text, text, text, text, bigint, text, text, text, bigint);
create or replace function public.wa_update_status(
  p_instance_id text, p_status text, p_qr_code text,
  p_reason text default null, p_until bigint default null, p_action text default null,
  p_jid text default null, p_push_name text default null, p_since bigint default null,
  p_pairing_code text default null, p_pairing_expires_at bigint default null
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
        since = to_timestamp(p_since),
        pairing_code = p_pairing_code,
        pairing_expires_at = to_timestamp(p_pairing_expires_at)
    where id = p_instance_id
    returning enabled)
  select coalesce((select enabled from stored), false)
$$;

-- A message as it is listed: {"id", "to", "body"}, and of the other columns those that are set.
create or replace function public.wa_listed_message(p_row public.wa_messages) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'id', p_row.id, 'to', p_row."to", 'body', p_row.body, 'type', p_row.type, 'media', p_row.media,
    'context', p_row.context, 'reaction', p_row.reaction, 'edit', p_row.edit, 'revoke', p_row.revoke,
    'location', p_row.location, 'contacts', p_row.contacts, 'poll', p_row.poll, 'mentions', p_row.mentions,
    'typing_ms', p_row.typing_ms))
$$;

-- GET /queued-messages, oldest first. A page ends after 4 MiB, too: the worker reads an answer of up to 32 MiB, JSON can
-- make six bytes of one, and an Edge Function has little memory.
create or replace function public.wa_queued_messages(p_instance_id text, p_limit integer) returns jsonb
language sql stable set search_path = '' as $$
  with page as (
    select queued_at, id, public.wa_listed_message(m) as message
    from public.wa_messages as m
    where instance_id = p_instance_id and status = 'queued'
      and exists (select from public.wa_instances where id = p_instance_id and enabled)
    order by queued_at, id
    limit p_limit),
  measured as (
    select *, octet_length(message::text) as bytes from page),
  summed as (
    select *, sum(bytes) over (order by queued_at, id) - bytes as bytes_before from measured)
  select coalesce(
    jsonb_agg(message order by queued_at, id) filter (where bytes_before < 4 * 1024 * 1024), '[]')
  from summed
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
drop function if exists public.wa_mark_sent(bigint, text, text, text);
create or replace function public.wa_mark_sent(
  p_message_id bigint, p_wa_message_id text, p_to text default null, p_instance_id text default null,
  p_timestamp bigint default null
) returns text
language plpgsql volatile set search_path = '' as $$
declare
  found_row record;
begin
  update public.wa_messages
  set status = 'sent', wa_message_id = p_wa_message_id, error = null, sent_at = now(), sent_to = p_to,
      accepted_at = to_timestamp(p_timestamp)
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
-- switched off meanwhile is kept: the worker has acknowledged it to WhatsApp. A repeat changes nothing but this: a file
-- that the message lacks is taken from it, and with "update" in p_content why it still lacks one.
drop function if exists public.wa_add_inbound(
  text, text, text, text, text, text, text, text, text, text, text, bigint);
drop function if exists public.wa_add_inbound(
  text, text, text, text, text, text, text, text, text, text, text, bigint, jsonb, jsonb);
create or replace function public.wa_add_inbound(
  p_instance_id text, p_chat_id text, p_wa_message_id text, p_chat_type text, p_from text, p_to text, p_body text,
  p_sender_id text, p_sender_lid text, p_push_name text, p_message_type text, p_timestamp bigint,
  p_interactive jsonb default null, p_button jsonb default null, p_content jsonb default null
) returns text
language plpgsql volatile set search_path = '' as $$
declare
  content public.wa_inbound;
begin
  content := jsonb_populate_record(null::public.wa_inbound, jsonb_strip_nulls(coalesce(p_content, '{}')));
  content.media_path := public.wa_path_of(content.media);
  insert into public.wa_inbound (
    instance_id, chat_id, wa_message_id, chat_type, "from", "to", body,
    sender_id, sender_lid, push_name, message_type, sent_at, interactive, button,
    from_me, media, media_path, context, reaction, edit, revoke, location, contacts, "order", product, poll, poll_vote, event,
    referral, mentions, "group", call)
  select
    id, p_chat_id, p_wa_message_id, p_chat_type, p_from, p_to, p_body,
    p_sender_id, p_sender_lid, p_push_name, p_message_type, to_timestamp(p_timestamp), p_interactive, p_button,
    content.from_me, content.media, content.media_path, content.context, content.reaction, content.edit, content.revoke,
    content.location, content.contacts, content."order", content.product, content.poll, content.poll_vote,
    content.event, content.referral, content.mentions, content."group", content.call
  from public.wa_instances
  where id = p_instance_id
  on conflict on constraint wa_inbound_once do nothing;
  if found then
    if content.reaction is not null then
      perform public.wa_react(
        p_instance_id, p_chat_id, coalesce(p_sender_id, p_from), content.reaction, to_timestamp(p_timestamp));
    end if;
    return 'new';
  end if;
  if content.media ? 'url' or (p_content ->> 'update')::boolean then
    update public.wa_inbound
    set media = (coalesce(media, '{}') - 'error') || content.media, media_path = content.media_path
    where instance_id = p_instance_id and chat_id = p_chat_id and wa_message_id = p_wa_message_id
      and content.media is not null and not coalesce(media ? 'url', false);
  end if;
  return case when exists (select from public.wa_instances where id = p_instance_id) then 'repeat' else 'unknown' end;
end
$$;

-- Where a message's file is in the bucket; null for one that is elsewhere.
create or replace function public.wa_path_of(p_media jsonb) returns text
language sql immutable set search_path = '' as $$
  select substring(p_media ->> 'url' from '/object/authenticated/wa-media/([^?]+)$')
$$;

-- A reaction, in whatever order they come: the latest by WhatsApp's clock holds.
create or replace function public.wa_react(
  p_instance_id text, p_chat_id text, p_sender_id text, p_reaction jsonb, p_at timestamptz
) returns void
language sql volatile set search_path = '' as $$
  insert into public.wa_reactions as kept (instance_id, chat_id, message_id, sender_id, emoji, reacted_at)
  values (
    p_instance_id, p_chat_id, p_reaction ->> 'message_id', p_sender_id, p_reaction ->> 'emoji', coalesce(p_at, now()))
  on conflict (instance_id, chat_id, message_id, sender_id) do update
  set emoji = excluded.emoji, reacted_at = excluded.reacted_at
  where excluded.reacted_at >= kept.reacted_at
$$;

-- What became of a sent message at one of those it went to. "stored"; "unknown" if there is no such instance;
-- "no message" if one is named that was never given out, or is another instance's. Its own mark may come later.
create or replace function public.wa_add_receipt(p_event jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  named bigint := (p_event ->> 'message_id')::bigint;
  told timestamptz := coalesce(to_timestamp((p_event ->> 'timestamp')::bigint), now());
  word text := p_event ->> 'status';
begin
  if not exists (select from public.wa_instances where id = p_event ->> 'instance_id') then
    return 'unknown';
  end if;
  if named is not null
    and not exists (select from public.wa_messages where id = named and instance_id = p_event ->> 'instance_id')
    and (exists (select from public.wa_messages where id = named) or public.wa_missing_message(named) = 'unknown')
  then
    return 'no message';
  end if;
  insert into public.wa_receipts as kept (
    instance_id, wa_message_id, chat_id, recipient_id, failed_at, delivered_at, read_at, played_at, error)
  values (
    p_event ->> 'instance_id', p_event ->> 'wa_message_id', p_event ->> 'chat_id', p_event ->> 'recipient_id',
    case when word = 'failed' then told end, case when word = 'delivered' then told end,
    case when word = 'read' then told end, case when word = 'played' then told end, p_event ->> 'error')
  on conflict (instance_id, wa_message_id, chat_id, recipient_id) do update
  set failed_at = least(kept.failed_at, excluded.failed_at),
      delivered_at = least(kept.delivered_at, excluded.delivered_at),
      read_at = least(kept.read_at, excluded.read_at),
      played_at = least(kept.played_at, excluded.played_at),
      error = coalesce(kept.error, excluded.error);
  return 'stored';
end
$$;

-- A worker with PACE holds a message back until a moment, and why. "stored"; "unknown" if there is no such instance;
-- "no message" if it has no such message.
create or replace function public.wa_hold(p_event jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  update public.wa_messages
  set held_reason = p_event ->> 'reason', held_until = to_timestamp(least((p_event ->> 'until')::bigint, 253402300799))
  where id = (p_event ->> 'message_id')::bigint and instance_id = p_event ->> 'instance_id';
  return case
    when found then 'stored'
    when exists (select from public.wa_instances where id = p_event ->> 'instance_id') then 'no message'
    else 'unknown' end;
end
$$;

-- What happened in a chat besides messages: "stored", told again or not; "unknown" if there is no such instance.
create or replace function public.wa_add_chat_event(p_event jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  insert into public.wa_chat_events (
    instance_id, chat_id, event_type, action, "group", participants, by, announce, description, wa_message_id,
    happened_at, fingerprint)
  select
    id, p_event ->> 'chat_id', p_event ->> 'event_type', p_event ->> 'action', nullif(p_event -> 'group', 'null'),
    nullif(p_event -> 'participants', 'null'), p_event ->> 'by', (p_event ->> 'announce')::boolean,
    p_event ->> 'description', p_event ->> 'wa_message_id', to_timestamp((p_event ->> 'timestamp')::bigint),
    encode(sha256(convert_to(p_event::text, 'UTF8')), 'hex')
  from public.wa_instances
  where id = p_event ->> 'instance_id'
  on conflict on constraint wa_chat_events_once do nothing;
  return case
    when exists (select from public.wa_instances where id = p_event ->> 'instance_id') then 'stored' else 'unknown' end;
end
$$;

-- POST /media-upload: {"path"}, where the file goes; null for it if there is no such instance. A file of a message has
-- one place.
create or replace function public.wa_media_upload(
  p_instance_id text, p_chat_id text, p_wa_message_id text, p_message_type text,
  p_mime_type text, p_size bigint, p_sha256 text, p_filename text, p_extension text
) returns jsonb
language sql volatile set search_path = '' as $$
  with stored as (
    insert into public.wa_files (
      path, instance_id, chat_id, wa_message_id, message_type, mime_type, size, sha256, filename)
    select
      concat_ws('/', tenant_id::text, id, encode(sha256(convert_to(
        jsonb_build_array(p_chat_id, p_wa_message_id, p_sha256)::text, 'UTF8')), 'hex')) || p_extension,
      id, p_chat_id, p_wa_message_id, p_message_type, p_mime_type, p_size, p_sha256, p_filename
    from public.wa_instances
    where id = p_instance_id
    on conflict (path) do update set asked_at = now(), size = excluded.size
    returning path)
  select jsonb_build_object('path', (select path from stored))
$$;

-- Retention: the paths of files that are older than so many days, or whose instance is gone, oldest first. SQL cannot
-- delete a file (it would only lose track of it): POST /expire-media of index.ts removes these from the bucket, and then
-- has them forgotten. A message keeps what it says of its file, except where that is.
create or replace function public.wa_expired_media(p_days integer, p_limit integer) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(path order by asked_at, path), '[]')
  from (
    select path, asked_at from public.wa_files
    where asked_at < now() - p_days * interval '1 day'
      or not exists (select from public.wa_instances where id = instance_id)
    order by asked_at, path
    limit p_limit) as expired
$$;

create or replace function public.wa_forget_media(p_paths text[]) returns integer
language plpgsql volatile set search_path = '' as $$
declare
  forgotten integer;
begin
  update public.wa_inbound as message
  set media = (media - 'url') || '{"error": "expired"}', media_path = null
  from public.wa_files as file
  where file.path = any (p_paths) and message.media_path = file.path
    and message.instance_id = file.instance_id and message.chat_id = file.chat_id
    and message.wa_message_id = file.wa_message_id;
  delete from public.wa_files where path = any (p_paths);
  get diagnostics forgotten = row_count;
  return forgotten;
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
        nullif(p_event -> 'interactive', 'null'), nullif(p_event -> 'button', 'null'), p_event -> 'content');
    when 'sent' then
      return public.wa_mark_sent(
        (p_event ->> 'message_id')::bigint, p_event ->> 'wa_message_id', p_event ->> 'to', p_event ->> 'instance_id',
        (p_event ->> 'timestamp')::bigint);
    when 'failed' then
      return public.wa_mark_failed(
        (p_event ->> 'message_id')::bigint, p_event ->> 'error', p_event ->> 'instance_id');
    when 'status' then
      return case
        when public.wa_update_status(
          p_event ->> 'instance_id', p_event ->> 'status', p_event ->> 'qr_code',
          p_event ->> 'reason', (p_event ->> 'until')::bigint, p_event ->> 'action',
          p_event ->> 'jid', p_event ->> 'push_name', (p_event ->> 'since')::bigint,
          p_event ->> 'pairing_code', (p_event ->> 'pairing_expires_at')::bigint)
        then 'stored' else 'unknown' end;
    when 'message_status' then
      return case p_event ->> 'status'
        when 'held' then public.wa_hold(p_event) else public.wa_add_receipt(p_event) end;
    when 'event' then
      return public.wa_add_chat_event(p_event);
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
    chat := case
      when event ? 'from' then jsonb_build_array(event -> 'instance_id', event -> 'from')
      when event ->> 'type' = 'event' then jsonb_build_array(event -> 'instance_id', event -> 'chat_id')
    end;
    if chat = any (held) then
      word := 'held';
    else
      word := public.wa_take_event(event);
      if chat is not null and word not in ('new', 'repeat', 'stored') then
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

-- A page of what the instances have yet to send: wa_listed_message() with its "instanceId", the oldest of each, then the
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
      from public.wa_messages as m
      where instance_id = busy.id and status = 'queued'
        -- what the worker holds back, and what is behind it to the same receiver, until then
        and not exists (
          select from public.wa_messages as held
          where held.instance_id = m.instance_id and held.status = 'queued' and held.held_until > now()
            and held."to" = m."to" and (held.queued_at, held.id) <= (m.queued_at, m.id))
      order by queued_at, id
      limit p_limit) as waiting
    order by turn, queued_at, id
    limit p_limit),
  listed as (
    select turn, turns.queued_at, id,
      jsonb_build_object('instanceId', m.instance_id) || public.wa_listed_message(m) as message
    from turns join public.wa_messages as m using (id)),
  measured as (
    select *, sum(octet_length(message::text) + 2) over listing as bytes, row_number() over listing as place
    from listed
    window listing as (order by turn, queued_at, id))
  select coalesce(
    jsonb_agg(message order by turn, queued_at, id) filter (where bytes <= p_bytes or place = 1), '[]')
  from measured
$$;

-- Which of p_of shards an instance is in, from 1: the contract's function, which workers compute, too.
create or replace function public.wa_shard(p_instance_id text, p_of integer) returns integer
language sql immutable set search_path = '' as $$
  select (('x' || left(md5(p_instance_id), 8))::bit(32)::bigint % p_of)::integer + 1
$$;

-- Those of these instances that are in shard p_shard of p_shards; all of them where p_shards is null.
create or replace function public.wa_in_shard(p_instances text[], p_shard integer, p_shards integer) returns text[]
language sql immutable set search_path = '' as $$
  select case
    when p_shards is null then p_instances
    else array(select id from unnest(p_instances) as asked (id) where public.wa_shard(id, p_shards) = p_shard) end
$$;

-- The instances that /poll lists: those of GET /disconnected-instances, and each that was switched off and that the
-- worker still takes for connected. It announces what is listed, and hears that it is gone; it wants to hear that a few
-- times, with an answer to a poll between, and those are held otherwise. With p_shards, those of shard p_shard alone.
-- With p_peers the worker runs some of the instances, and others the rest: what was switched off is listed for the one
-- that takes it for connected, and not for one that would start it.
drop function if exists public.wa_listed(text[]);
create or replace function public.wa_listed(
  p_connected text[], p_shard integer default null, p_shards integer default null, p_peers boolean default false
) returns setof text
language sql stable set search_path = '' as $$
  select id from (
    select id from public.wa_instances
    where (enabled and status <> 'CONNECTED') or (not enabled and status = 'CONNECTED' and not p_peers)
    union
    select id from public.wa_instances
    where not enabled and id in (select unnest(p_connected))
  ) as listed
  where p_shards is null or public.wa_shard(id, p_shards) = p_shard
$$;

-- Whether a held poll has to end: there is a message for an instance that can send it, or the list of instances is not
-- what the worker must think it is from what it believes of them itself. p_down: the asked ones that are not connected;
-- p_other: those of which the worker says something that is unknown here; what is in none of the lists is busy sending.
drop function if exists public.wa_poll_is_due(text[], text[], text[]);
create or replace function public.wa_poll_is_due(
  p_connected text[], p_down text[], p_other text[],
  p_shard integer default null, p_shards integer default null, p_peers boolean default false
) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  listed text[] := array(select public.wa_listed(p_connected, p_shard, p_shards, p_peers));
begin
  return exists (select unnest(listed) except select unnest(p_down || p_other))
    or exists (select unnest(p_down) except select unnest(listed))
    or exists (
      select from public.wa_busy_instances() as busy (id)
      join public.wa_instances as instance on instance.id = busy.id and instance.enabled
      where busy.id in (select unnest(p_connected)) and exists (
        select from public.wa_messages as m
        where m.instance_id = busy.id and m.status = 'queued' and not exists (  -- as in wa_page
          select from public.wa_messages as held
          where held.instance_id = m.instance_id and held.status = 'queued' and held.held_until > now()
            and held."to" = m."to" and (held.queued_at, held.id) <= (m.queued_at, m.id))));
end
$$;

-- The numbers to be paired by a code, and when proxies have changed, in shard p_shard of p_shards or (null) in all: a
-- held poll ends when they change, which a worker's beliefs say nothing of.
drop function if exists public.wa_pair_phones();
create or replace function public.wa_pair_phones(
  p_shard integer default null, p_shards integer default null
) returns text
language sql stable set search_path = '' as $$
  select (
    select coalesce(string_agg(id || ' ' || pair_phone, ',' order by id), '')
    from public.wa_instances
    where enabled and status <> 'CONNECTED' and pair_phone is not null
      and (p_shards is null or public.wa_shard(id, p_shards) = p_shard)
  ) || ' ' || (
    select coalesce(max(changed_at)::text, '') from public.wa_instance_proxies
    where p_shards is null or public.wa_shard(instance_id, p_shards) = p_shard)
$$;

-- POST /poll, one look: {"instances", "messages", "due"}, of p_bytes at most. With nothing due it waits here for up to
-- p_hold_ms milliseconds and looks every quarter of a second, if one of the two places for that is free; otherwise it
-- answers at once, and index.ts looks again in a second. So however many workers poll, and however many polls were given
-- up by their workers, which PostgREST goes on with to their end, two of its connections are taken by waiting at most.
-- p_shard, p_shards, p_peers: what wa_listed says; of the instances asked, too, only those of the shard count.
drop function if exists public.wa_poll(text[], text[], text[], integer, integer, integer);
create or replace function public.wa_poll(
  p_connected text[], p_down text[], p_other text[], p_hold_ms integer, p_limit integer, p_bytes integer,
  p_shard integer default null, p_shards integer default null, p_peers boolean default false
) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  connected text[] := public.wa_in_shard(p_connected, p_shard, p_shards);
  down text[] := public.wa_in_shard(p_down, p_shard, p_shards);
  due boolean := public.wa_poll_is_due(connected, down, p_other, p_shard, p_shards, p_peers);
  phones text := public.wa_pair_phones(p_shard, p_shards);
  waits_until timestamptz := clock_timestamp() + p_hold_ms * interval '1 millisecond';
  listed jsonb;
begin
  if not due and p_hold_ms > 0 and (
    pg_try_advisory_xact_lock(hashtext('wa_poll'), 1) or pg_try_advisory_xact_lock(hashtext('wa_poll'), 2)
  ) then
    while not due and clock_timestamp() < waits_until loop
      perform pg_sleep(least(0.25, extract(epoch from waits_until - clock_timestamp())));
      due := public.wa_poll_is_due(connected, down, p_other, p_shard, p_shards, p_peers)
        or public.wa_pair_phones(p_shard, p_shards) <> phones;
    end loop;
  end if;
  listed := (
    select coalesce(
      jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', id, 'pair_phone', (
        select pair_phone from public.wa_instances as instance where instance.id = listed.id)))
        || public.wa_proxy_of(id) order by id), '[]')
    from public.wa_listed(connected, p_shard, p_shards, p_peers) as listed (id));
  return jsonb_build_object(
    'instances', listed,
    'messages', public.wa_page(connected, p_limit, p_bytes - octet_length(listed::text)),
    'due', due);
end
$$;

-- Who may: the Edge Function and your own back end (service_role), and nobody else until you say so.

alter table public.wa_instances enable row level security;
alter table public.wa_messages enable row level security;
alter table public.wa_inbound enable row level security;
alter table public.wa_reactions enable row level security;
alter table public.wa_receipts enable row level security;
alter table public.wa_chat_events enable row level security;
alter table public.wa_files enable row level security;
alter table public.wa_instance_proxies enable row level security;

revoke all on table
  public.wa_instances, public.wa_messages, public.wa_inbound, public.wa_reactions, public.wa_receipts,
  public.wa_chat_events, public.wa_files, public.wa_instance_proxies
from anon, authenticated;
revoke all on sequence public.wa_messages_id_seq, public.wa_inbound_id_seq, public.wa_chat_events_id_seq
from anon, authenticated;
grant select, insert, update, delete on table
  public.wa_instances, public.wa_messages, public.wa_inbound, public.wa_reactions, public.wa_receipts,
  public.wa_chat_events, public.wa_files, public.wa_instance_proxies
to service_role;
grant usage, select on sequence public.wa_messages_id_seq, public.wa_inbound_id_seq, public.wa_chat_events_id_seq
to service_role;

revoke all on function
  public.wa_touch(),
  public.wa_touch_instance(),
  public.wa_proxy_changed(),
  public.wa_proxy_of(text),
  public.wa_disconnected_instances(),
  public.wa_update_status(text, text, text, text, bigint, text, text, text, bigint, text, bigint),
  public.wa_listed_message(public.wa_messages),
  public.wa_queued_messages(text, integer),
  public.wa_missing_message(bigint),
  public.wa_mark_sent(bigint, text, text, text, bigint),
  public.wa_mark_failed(bigint, text, text),
  public.wa_add_inbound(
    text, text, text, text, text, text, text, text, text, text, text, bigint, jsonb, jsonb, jsonb),
  public.wa_path_of(jsonb),
  public.wa_react(text, text, text, jsonb, timestamptz),
  public.wa_add_receipt(jsonb),
  public.wa_hold(jsonb),
  public.wa_add_chat_event(jsonb),
  public.wa_media_upload(text, text, text, text, text, bigint, text, text, text),
  public.wa_expired_media(integer, integer),
  public.wa_forget_media(text[]),
  public.wa_take_event(jsonb),
  public.wa_events(jsonb),
  public.wa_busy_instances(),
  public.wa_page(text[], integer, integer),
  public.wa_shard(text, integer),
  public.wa_in_shard(text[], integer, integer),
  public.wa_listed(text[], integer, integer, boolean),
  public.wa_poll_is_due(text[], text[], text[], integer, integer, boolean),
  public.wa_pair_phones(integer, integer),
  public.wa_poll(text[], text[], text[], integer, integer, integer, integer, integer, boolean)
from public, anon, authenticated;
grant execute on function
  public.wa_proxy_of(text),
  public.wa_disconnected_instances(),
  public.wa_update_status(text, text, text, text, bigint, text, text, text, bigint, text, bigint),
  public.wa_listed_message(public.wa_messages),
  public.wa_queued_messages(text, integer),
  public.wa_missing_message(bigint),
  public.wa_mark_sent(bigint, text, text, text, bigint),
  public.wa_mark_failed(bigint, text, text),
  public.wa_add_inbound(
    text, text, text, text, text, text, text, text, text, text, text, bigint, jsonb, jsonb, jsonb),
  public.wa_path_of(jsonb),
  public.wa_react(text, text, text, jsonb, timestamptz),
  public.wa_add_receipt(jsonb),
  public.wa_hold(jsonb),
  public.wa_add_chat_event(jsonb),
  public.wa_media_upload(text, text, text, text, text, bigint, text, text, text),
  public.wa_expired_media(integer, integer),
  public.wa_forget_media(text[]),
  public.wa_take_event(jsonb),
  public.wa_events(jsonb),
  public.wa_busy_instances(),
  public.wa_page(text[], integer, integer),
  public.wa_shard(text, integer),
  public.wa_in_shard(text[], integer, integer),
  public.wa_listed(text[], integer, integer, boolean),
  public.wa_poll_is_due(text[], text[], text[], integer, integer, boolean),
  public.wa_pair_phones(integer, integer),
  public.wa_poll(text[], text[], text[], integer, integer, integer, integer, integer, boolean)
to service_role;

-- If your users read, queue and connect from the browser: customers.sql.

-- The REST side of Supabase learns of new functions by this.
notify pgrst, 'reload schema';
