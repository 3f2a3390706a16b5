-- How long messages are kept, and what is kept of a person: delete, export (docs/lgpd.md).
--
-- Run it after migration.sql, as often as you like: a second run changes nothing, and it deletes nothing by itself.
-- For the service key and the SQL editor alone: no user may call these.

create index if not exists wa_inbound_by_age on public.wa_inbound (received_at);
create index if not exists wa_messages_by_age on public.wa_messages (updated_at) where status <> 'queued';
create index if not exists wa_chat_events_by_age on public.wa_chat_events (received_at);
create index if not exists wa_reactions_by_age on public.wa_reactions (reacted_at);
create index if not exists wa_receipts_by_age
  on public.wa_receipts (greatest(failed_at, delivered_at, read_at, played_at));

-- Deletes what is older than so many days, p_limit rows of a table at most: how many of each. What is still queued
-- stays. Files are in the bucket: POST /expire-media of index.ts deletes those.
create or replace function public.wa_delete_old(p_days integer, p_limit integer default 10000) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  before timestamptz := now() - p_days * interval '1 day';
  messages integer;
  inbound integer;
  events integer;
  reactions integer;
  receipts integer;
begin
  if p_days is null or p_days < 1 or p_limit is null or p_limit < 1 then
    raise exception 'p_days and p_limit are whole numbers from 1.' using errcode = 'PT400';
  end if;
  delete from public.wa_messages where id in (
    select id from public.wa_messages
    where status <> 'queued' and updated_at < before order by updated_at limit p_limit for update skip locked);
  get diagnostics messages = row_count;
  delete from public.wa_inbound where id in (
    select id from public.wa_inbound where received_at < before order by received_at limit p_limit);
  get diagnostics inbound = row_count;
  delete from public.wa_chat_events where id in (
    select id from public.wa_chat_events where received_at < before order by received_at limit p_limit);
  get diagnostics events = row_count;
  delete from public.wa_reactions where (instance_id, chat_id, message_id, sender_id) in (
    select instance_id, chat_id, message_id, sender_id from public.wa_reactions
    where reacted_at < before order by reacted_at limit p_limit);
  get diagnostics reactions = row_count;
  delete from public.wa_receipts where (instance_id, wa_message_id, chat_id, recipient_id) in (
    select instance_id, wa_message_id, chat_id, recipient_id from public.wa_receipts
    where greatest(failed_at, delivered_at, read_at, played_at) < before
    order by greatest(failed_at, delivered_at, read_at, played_at) limit p_limit);
  get diagnostics receipts = row_count;
  return jsonb_build_object(
    'wa_messages', messages, 'wa_inbound', inbound, 'wa_chat_events', events, 'wa_reactions', reactions,
    'wa_receipts', receipts);
end
$$;

-- Has wa_delete_old() run every hour, by pg_cron; null ends that. Nothing is deleted until you have called it.
create or replace function public.wa_keep_days(p_days integer) returns text
language plpgsql volatile set search_path = '' as $$
begin
  if p_days < 1 then
    raise exception 'p_days is a whole number from 1, or null.' using errcode = 'PT400';
  end if;
  if to_regprocedure('cron.schedule(text, text, text)') is null then
    raise exception 'pg_cron is not there: create extension pg_cron; or call wa_delete_old() from a clock of yours.'
      using errcode = 'PT400';
  end if;
  if p_days is null then
    execute 'select cron.unschedule(jobname) from cron.job where jobname = $1' using 'wa-delete-old';
    return 'kept for ever';
  end if;
  execute 'select cron.schedule($1, $2, $3)'
    using 'wa-delete-old', '23 * * * *', format('select public.wa_delete_old(%s)', p_days);
  return format('kept for %s days', p_days);
end
$$;

-- A person

-- The JID that an address means, as far as it can be told without WhatsApp.
create or replace function public.wa_jid(p_address text) returns text
language sql immutable set search_path = '' as $$
  select case
    when p_address like '%@%' then regexp_replace(
      regexp_replace(lower(btrim(p_address)), '[:_.][0-9:_.]*@', '@'), '@c\.us$', '@s.whatsapp.net')
    else regexp_replace(regexp_replace(p_address, '[^0-9]', '', 'g'), '^0+', '') || '@s.whatsapp.net'
  end
$$;

-- All JIDs under which a tenant's rows may know somebody: with and without Brazil's ninth digit, by number and by LID.
create or replace function public.wa_person_jids(p_tenant uuid, p_person text) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  ids text[] := array[public.wa_jid(p_person)];
  instances text[] := array(select id from public.wa_instances where tenant_id is not distinct from p_tenant);
  many integer;
begin
  if ids[1] is null or ids[1] !~ '^[0-9]{5,20}@(s\.whatsapp\.net|lid)$' then
    raise exception 'That is neither a phone number with its country code nor a person''s JID.'
      using errcode = 'PT400', hint = 'bad_phone';
  end if;
  loop
    many := cardinality(ids);
    ids := array(
      select unnest(ids)
      union
      select regexp_replace(id, '^(55[0-9]{2})9([0-9]{8}@s)', '\1\2') from unnest(ids) as id
      union
      select regexp_replace(id, '^(55[0-9]{2})([6-9][0-9]{7}@s)', '\19\2') from unnest(ids) as id
      union
      select unnest(array[sender_id, sender_lid]) from public.wa_inbound
      where instance_id = any (instances) and (sender_id = any (ids) or sender_lid = any (ids))
      union
      select unnest(array[public.wa_jid("to"), sent_to]) from public.wa_messages
      where instance_id = any (instances) and (public.wa_jid("to") = any (ids) or sent_to = any (ids)));
    ids := array(select id from unnest(ids) as id where id is not null);
    exit when cardinality(ids) = many;
  end loop;
  return ids;
end
$$;

-- What is kept of that person: {"jids", and the rows of each table}. Rows that others wrote and that only name the
-- person are in there, too.
create or replace function public.wa_person(p_tenant uuid, p_person text) returns jsonb
language sql stable set search_path = '' as $$
  with known as (select public.wa_person_jids(p_tenant, p_person) as ids),
  own as (select array(select id from public.wa_instances where tenant_id is not distinct from p_tenant) as own_ids)
  select jsonb_build_object(
    'jids', (select to_jsonb(ids) from known),
    'wa_messages', (
      select coalesce(jsonb_agg(to_jsonb(m) order by id), '[]') from public.wa_messages as m, known, own
      where instance_id = any (own_ids) and (
        public.wa_jid("to") = any (ids) or sent_to = any (ids) or mentions ?| ids
        or array[context ->> 'from', reaction ->> 'from', revoke ->> 'from'] && ids)),
    'wa_inbound', (
      select coalesce(jsonb_agg(to_jsonb(i) order by id), '[]') from public.wa_inbound as i, known, own
      where instance_id = any (own_ids) and (
        array[chat_id, "from", sender_id, sender_lid, context ->> 'from', revoke ->> 'by'] && ids or mentions ?| ids)),
    'wa_reactions', (
      select coalesce(jsonb_agg(to_jsonb(r)), '[]') from public.wa_reactions as r, known, own
      where instance_id = any (own_ids) and array[chat_id, sender_id] && ids),
    'wa_receipts', (
      select coalesce(jsonb_agg(to_jsonb(r)), '[]') from public.wa_receipts as r, known, own
      where instance_id = any (own_ids) and array[chat_id, recipient_id] && ids),
    'wa_chat_events', (
      select coalesce(jsonb_agg(to_jsonb(e) order by id), '[]') from public.wa_chat_events as e, known, own
      where instance_id = any (own_ids) and (array[chat_id, by] && ids or participants ?| ids)),
    'wa_files', (
      select coalesce(jsonb_agg(to_jsonb(f)), '[]') from public.wa_files as f, known, own
      where instance_id = any (own_ids) and (
        chat_id = any (ids) or (instance_id, chat_id, wa_message_id) in (
          select instance_id, chat_id, wa_message_id from public.wa_inbound, known
          where sender_id = any (ids) or sender_lid = any (ids)))))
$$;

-- Deletes all that a tenant has of a person, and takes the name out of what others wrote: how many rows of each table.
-- Files go with the next POST /expire-media, whatever its days. It cannot find a number inside a text.
create or replace function public.wa_delete_person(p_tenant uuid, p_person text) returns jsonb
language plpgsql volatile set search_path = '' as $$
declare
  ids text[] := public.wa_person_jids(p_tenant, p_person);
  own_ids text[] := array(select id from public.wa_instances where tenant_id is not distinct from p_tenant);
  done jsonb := '{}';
  many integer;
begin
  -- First the files: which messages in groups are the person's is told by wa_inbound.
  update public.wa_files set asked_at = 'epoch', filename = null
  where instance_id = any (own_ids) and (
    chat_id = any (ids) or (instance_id, chat_id, wa_message_id) in (
      select instance_id, chat_id, wa_message_id from public.wa_inbound
      where instance_id = any (own_ids) and (sender_id = any (ids) or sender_lid = any (ids))));
  get diagnostics many = row_count;
  done := done || jsonb_build_object('wa_files', many);

  delete from public.wa_receipts where instance_id = any (own_ids) and array[chat_id, recipient_id] && ids;
  get diagnostics many = row_count;
  done := done || jsonb_build_object('wa_receipts', many);

  delete from public.wa_reactions
  where instance_id = any (own_ids) and (
    array[chat_id, sender_id] && ids or (instance_id, chat_id, message_id) in (
      select instance_id, chat_id, wa_message_id from public.wa_inbound
      where instance_id = any (own_ids) and (sender_id = any (ids) or sender_lid = any (ids))));
  get diagnostics many = row_count;
  done := done || jsonb_build_object('wa_reactions', many);

  delete from public.wa_chat_events
  where instance_id = any (own_ids) and (array[chat_id, by] && ids or participants ?| ids);
  get diagnostics many = row_count;
  done := done || jsonb_build_object('wa_chat_events', many);

  delete from public.wa_inbound
  where instance_id = any (own_ids) and array[chat_id, "from", sender_id, sender_lid] && ids;
  get diagnostics many = row_count;
  done := done || jsonb_build_object('wa_inbound', many);
  update public.wa_inbound
  set context = case when context ->> 'from' = any (ids) then context - '{from,body}'::text[] else context end,
      mentions = mentions - ids, revoke = case when revoke ->> 'by' = any (ids) then revoke - 'by' else revoke end
  where instance_id = any (own_ids)
    and (array[context ->> 'from', revoke ->> 'by'] && ids or mentions ?| ids);

  delete from public.wa_messages
  where instance_id = any (own_ids) and (public.wa_jid("to") = any (ids) or sent_to = any (ids));
  get diagnostics many = row_count;
  done := done || jsonb_build_object('wa_messages', many);
  update public.wa_messages
  set context = case when context ->> 'from' = any (ids) then context - '{from,body}'::text[] else context end,
      mentions = mentions - ids, reaction = reaction - 'from', revoke = revoke - 'from'
  where instance_id = any (own_ids) and (
    array[context ->> 'from', reaction ->> 'from', revoke ->> 'from'] && ids or mentions ?| ids);
  return done;
end
$$;

revoke all on function
  public.wa_delete_old(integer, integer), public.wa_keep_days(integer), public.wa_jid(text),
  public.wa_person_jids(uuid, text), public.wa_person(uuid, text), public.wa_delete_person(uuid, text)
from public, anon, authenticated;
grant execute on function
  public.wa_delete_old(integer, integer), public.wa_jid(text),
  public.wa_person_jids(uuid, text), public.wa_person(uuid, text), public.wa_delete_person(uuid, text)
to service_role;

notify pgrst, 'reload schema';
