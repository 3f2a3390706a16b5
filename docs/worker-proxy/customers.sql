-- What your customers may do from a page of yours, such as connect.html: see what is theirs, and connect their numbers.
--
-- Run it after migration.sql, as often as you like: a second run changes nothing. It takes the place of the example
-- policies that earlier versions of migration.sql had as comments.
--
-- Whoever is signed in is one tenant: `app_metadata.tenant_id` of their token if your back end has set it (for teams:
-- users cannot write app_metadata), else their own user id.

create or replace function public.wa_tenant() returns uuid
language sql stable set search_path = '' as $$
  select case
    -- Supabase's anonymous users are `authenticated`, too; anybody can be one.
    when claims ->> 'is_anonymous' = 'true' then null
    else coalesce(claims -> 'app_metadata' ->> 'tenant_id', auth.uid()::text)::uuid
  end
  from (select nullif(current_setting('request.jwt.claims', true), '')::jsonb as claims) as token
$$;

create index if not exists wa_instances_of_tenant on public.wa_instances (tenant_id);

-- How many instances a tenant may have, stopped ones too. Without a row here: 3.
create table if not exists public.wa_tenants (
  tenant_id uuid primary key,
  max_instances integer not null default 3 constraint wa_tenants_max_instances check (max_instances >= 0)
);
comment on table public.wa_tenants is 'Limits of those who need others than the usual ones. Yours to fill.';
alter table public.wa_tenants enable row level security;
revoke all on table public.wa_tenants from anon, authenticated;
grant select, insert, update, delete on table public.wa_tenants to service_role;

-- The calls. Each is of the tenant's own instances alone; another's is answered like one that does not exist. An error
-- has a sentence for people, a word for pages as its hint, and the SQLSTATE that PostgREST makes a status of: PT404.

create or replace function public.wa_own_instance(p_id text) returns public.wa_instances
language plpgsql volatile security definer set search_path = '' as $$
declare
  tenant uuid := public.wa_tenant();
  found_row public.wa_instances;
begin
  if tenant is null then
    raise exception 'Sign in first.' using errcode = 'PT401', hint = 'signed_out';
  end if;
  select * into found_row from public.wa_instances where id = p_id and tenant_id = tenant for update;
  if not found then
    raise exception 'There is no such instance.' using errcode = 'PT404', hint = 'no_instance';
  end if;
  return found_row;
end
$$;

create or replace function public.wa_checked_name(p_name text) returns text
language plpgsql immutable set search_path = '' as $$
declare
  trimmed text := nullif(btrim(regexp_replace(p_name, '[[:cntrl:]]', ' ', 'g')), '');
begin
  if trimmed is null or char_length(trimmed) > 80 then
    raise exception 'A name has 1 to 80 characters.' using errcode = 'PT400', hint = 'bad_name';
  end if;
  return trimmed;
end
$$;

-- The digits of a phone number with its country code, however it is spelt.
create or replace function public.wa_checked_phone(p_phone text) returns text
language plpgsql immutable set search_path = '' as $$
declare
  digits text := regexp_replace(p_phone, '[ ().+/-]', '', 'g');
begin
  if digits is null or digits !~ '^[1-9][0-9]{7,14}$' then
    raise exception 'That is no phone number with its country code, such as +55 11 99999-0001.'
      using errcode = 'PT400', hint = 'bad_phone';
  end if;
  return digits;
end
$$;

-- A new instance, which shows a code to scan within seconds: its id. Ids are made here, since one must never be used
-- again for somebody else.
create or replace function public.wa_create_instance(p_name text) returns text
language plpgsql volatile security definer set search_path = '' as $$
declare
  tenant uuid := public.wa_tenant();
  most integer;
  made text;
begin
  if tenant is null then
    raise exception 'Sign in first.' using errcode = 'PT401', hint = 'signed_out';
  end if;
  p_name := public.wa_checked_name(p_name);
  -- One at a time for a tenant: two pages must not pass the limit together.
  perform pg_advisory_xact_lock(hashtextextended('wa_create_instance ' || tenant, 0));
  most := coalesce((select max_instances from public.wa_tenants where tenant_id = tenant), 3);
  if (select count(*) from public.wa_instances where tenant_id = tenant) >= most then
    raise exception 'You have % numbers, and may have no more.', most using errcode = 'PT409', hint = 'too_many';
  end if;
  insert into public.wa_instances (tenant_id, name) values (tenant, p_name) returning id into made;
  return made;
end
$$;

create or replace function public.wa_rename_instance(p_id text, p_name text) returns text
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform public.wa_own_instance(p_id);
  update public.wa_instances set name = public.wa_checked_name(p_name) where id = p_id;
  return p_id;
end
$$;

-- The worker lets go of it and keeps its session: wa_start_instance() brings it back without a new code.
create or replace function public.wa_stop_instance(p_id text) returns text
language plpgsql volatile security definer set search_path = '' as $$
begin
  if (public.wa_own_instance(p_id)).enabled then
    update public.wa_instances set enabled = false where id = p_id;
  end if;
  return p_id;
end
$$;

create or replace function public.wa_start_instance(p_id text) returns text
language plpgsql volatile security definer set search_path = '' as $$
begin
  if not (public.wa_own_instance(p_id)).enabled then
    update public.wa_instances set enabled = true where id = p_id;
  end if;
  return p_id;
end
$$;

-- A code to scan, and no pairing code.
create or replace function public.wa_pair_by_qr(p_id text) returns text
language plpgsql volatile security definer set search_path = '' as $$
begin
  if (public.wa_own_instance(p_id)).status = 'CONNECTED' then
    raise exception 'This number is connected already.' using errcode = 'PT409', hint = 'connected';
  end if;
  update public.wa_instances
  set enabled = true, pair_phone = null, pairing_code = null, pairing_expires_at = null
  where id = p_id;
  return p_id;
end
$$;

-- A code to type on that phone, which is in pairing_code within seconds. The code to scan stays beside it.
create or replace function public.wa_pair_by_code(p_id text, p_phone text) returns text
language plpgsql volatile security definer set search_path = '' as $$
declare
  digits text := public.wa_checked_phone(p_phone);
  before public.wa_instances := public.wa_own_instance(p_id);
begin
  if before.status = 'CONNECTED' then
    raise exception 'This number is connected already.' using errcode = 'PT409', hint = 'connected';
  end if;
  if not before.enabled or before.pair_phone is distinct from digits then
    update public.wa_instances
    set enabled = true, pair_phone = digits, pairing_code = null, pairing_expires_at = null
    where id = p_id;
  end if;
  return p_id;
end
$$;

-- Deletes it with all its messages. It has to be stopped before, and the worker to have let go of it: else it would
-- be connected for minutes more, and what comes in would go nowhere. A worker that is away does not forbid it for ever.
create or replace function public.wa_delete_instance(p_id text) returns text
language plpgsql volatile security definer set search_path = '' as $$
declare
  before public.wa_instances := public.wa_own_instance(p_id);
begin
  if before.enabled then
    raise exception 'Stop this number before you delete it.' using errcode = 'PT409', hint = 'not_stopped';
  end if;
  if before.status = 'CONNECTED' and before.updated_at > now() - interval '15 minutes' then
    raise exception 'This number is being disconnected. Try again in a minute.'
      using errcode = 'PT409', hint = 'stopping';
  end if;
  delete from public.wa_instances where id = p_id;
  return p_id;
end
$$;

create or replace function public.wa_own_instances() returns setof text
language sql stable security definer set search_path = '' as $$
  select id from public.wa_instances where tenant_id = public.wa_tenant()
$$;

revoke all on function
  public.wa_tenant(), public.wa_own_instance(text), public.wa_own_instances(), public.wa_checked_name(text),
  public.wa_checked_phone(text), public.wa_create_instance(text), public.wa_rename_instance(text, text),
  public.wa_stop_instance(text), public.wa_start_instance(text), public.wa_pair_by_qr(text),
  public.wa_pair_by_code(text, text), public.wa_delete_instance(text)
from public, anon, authenticated;
grant execute on function
  public.wa_tenant(), public.wa_own_instances(), public.wa_create_instance(text),
  public.wa_rename_instance(text, text), public.wa_stop_instance(text), public.wa_start_instance(text),
  public.wa_pair_by_qr(text), public.wa_pair_by_code(text, text), public.wa_delete_instance(text)
to authenticated;

-- What a tenant reads, and queues. Column by column for the instances: one that comes later, and is a secret of yours,
-- is not shown by a grant of today. `array(select ...)` is found out once a statement, and lets it use the indexes.

revoke all on table public.wa_instances from authenticated; -- the whole table, which the example gave
grant select (
  id, tenant_id, name, enabled, status, reason, until, action, since, jid, push_name, qr_code, pair_phone,
  pairing_code, pairing_expires_at, created_at, updated_at)
on table public.wa_instances to authenticated;
grant select on table
  public.wa_messages, public.wa_inbound, public.wa_reactions, public.wa_receipts, public.wa_chat_events
to authenticated;
grant insert (
  instance_id, "to", body, type, media, context, reaction, edit, revoke, location, contacts, poll, mentions, typing_ms)
on table public.wa_messages to authenticated;

drop policy if exists "own instances" on public.wa_instances;
create policy "own instances" on public.wa_instances for select to authenticated
  using (tenant_id = (select public.wa_tenant()));
drop policy if exists "own messages" on public.wa_messages;
create policy "own messages" on public.wa_messages for select to authenticated
  using (instance_id = any (array(select public.wa_own_instances())));
drop policy if exists "queue own messages" on public.wa_messages;
create policy "queue own messages" on public.wa_messages for insert to authenticated
  with check (instance_id = any (array(select public.wa_own_instances())));
drop policy if exists "own inbound" on public.wa_inbound;
create policy "own inbound" on public.wa_inbound for select to authenticated
  using (instance_id = any (array(select public.wa_own_instances())));
drop policy if exists "own reactions" on public.wa_reactions;
create policy "own reactions" on public.wa_reactions for select to authenticated
  using (instance_id = any (array(select public.wa_own_instances())));
drop policy if exists "own receipts" on public.wa_receipts;
create policy "own receipts" on public.wa_receipts for select to authenticated
  using (instance_id = any (array(select public.wa_own_instances())));
drop policy if exists "own events" on public.wa_chat_events;
create policy "own events" on public.wa_chat_events for select to authenticated
  using (instance_id = any (array(select public.wa_own_instances())));
do $$
begin
  if to_regclass('storage.objects') is not null then
    drop policy if exists "own files" on storage.objects;
    create policy "own files" on storage.objects for select to authenticated
      using (bucket_id = 'wa-media' and (storage.foldername(name))[1] = (select public.wa_tenant())::text);
  end if;
end
$$;

-- Realtime: the instances alone. It asks the policy above for each change and each listener, so a page that shows chats
-- live is better served by a broadcast of your own than by all messages in here.
do $$
begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
  if not exists (
    select from pg_publication_tables
    where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'wa_instances'
  ) then
    alter publication supabase_realtime add table public.wa_instances;
  end if;
end
$$;

notify pgrst, 'reload schema';
