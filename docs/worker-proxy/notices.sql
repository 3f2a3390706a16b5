-- When a number is down: a row in wa_notices for a human, once, with the reason in words. What sends it to Slack, mail,
-- WhatsApp or n8n is a trigger or a webhook on that table (docs/recipes.md).
--
-- Run it after migration.sql, as often as you like: a second run changes nothing. A ban, a log-out and whatever else
-- has stopped a number is told within the worker's own call; what may still pass (a broken line, a worker that is
-- deployed) is told after three minutes, by the next status of any number or by pg_cron, which looks every minute.

alter table public.wa_instances
  add column if not exists linked_at timestamptz,
  add column if not exists down_since timestamptz;
comment on column public.wa_instances.linked_at is 'When it was first connected; null: never yet, so it is not missed.';
comment on column public.wa_instances.down_since is 'Since when it is not connected though it should be; else null.';
update public.wa_instances set linked_at = now() where linked_at is null and jid is not null;
create index if not exists wa_instances_down on public.wa_instances (down_since) where down_since is not null;

create table if not exists public.wa_notices (
  id bigint generated always as identity primary key,
  created_at timestamptz not null default now(),
  kind text not null constraint wa_notices_kind check (kind in ('down', 'many_down', 'back', 'many_back')),
  tenant_id uuid,
  instance_id text,
  reason text,
  text text not null,
  details jsonb not null
);
comment on table public.wa_notices is 'What a human should hear. Send each row on; nothing is said twice.';
comment on column public.wa_notices.reason is 'As contract.md has it, for down; logged_out, too, for one that shows a code.';
comment on column public.wa_notices.text is 'For people.';
comment on column public.wa_notices.details is 'For machines: {"numbers": [...], "down", "of"}.';
create index if not exists wa_notices_by_age on public.wa_notices (created_at);

-- What has been told of an outage: another reason is told, too, if it is one that does not pass.
create table if not exists public.wa_told (
  instance_id text not null references public.wa_instances (id) on delete cascade,
  down_since timestamptz not null,
  reason text not null,
  primary key (instance_id, down_since, reason)
);

-- Reasons in words, yours to change.
create or replace function public.wa_reason_in_words(p_reason text) returns text
language sql immutable set search_path = '' as $$
  select case p_reason
    when 'banned' then 'WhatsApp has banned it for a while. Do not link it again'
    when 'logged_out' then 'the phone removed this device. Somebody has to scan a new code'
    when 'replaced' then 'another program uses its session'
    when 'refused' then 'WhatsApp refuses the login. The app on the phone may say why'
    when 'outdated' then 'WhatsApp refuses this version of wa-worker. Upgrade it'
    when 'passkey' then 'WhatsApp asks for a passkey to link it'
    when 'volume_full' then 'the worker''s volume is full or cannot be written'
    when 'crashed' then 'an error of the worker''s own. It tries again'
    when 'worker_stopping' then 'the worker was stopped and has not come back'
    when 'reconnecting' then 'the line broke and has not come back'
    when 'retrying' then 'the line did not come back. The worker tries again'
    when 'opening' then 'it logs in and does not get through'
    when 'proxy_failed' then 'the proxy that it goes through does not work'
    when 'connected' then 'it was connected and has not come back'
    when 'unknown' then 'no worker has taken it up'
    else 'reason: ' || p_reason
  end
$$;

-- Whether it passes by itself, mostly: told after a while only. A word that is not known here is judged by its status;
-- `unknown` is none at all, as before the worker has said one.
create or replace function public.wa_may_pass(p_status text, p_reason text) returns boolean
language sql immutable set search_path = '' as $$
  select case
    when p_reason in ('reconnecting', 'retrying', 'opening', 'crashed', 'worker_stopping', 'unknown') then true
    when p_reason in ('connected', 'restricted') then true -- it is listed anew, as for another proxy
    when p_reason in ('volume_full', 'logged_out') then false
    else p_status = 'CONNECTING'
  end
$$;

create or replace function public.wa_watch_instance() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.status = 'CONNECTED' then
    new.linked_at := coalesce(new.linked_at, now());
  end if;
  -- One that waits for its first scan is not down. That the phone removed the device may be told by the code alone.
  if not new.enabled or new.status = 'CONNECTED' or new.reason = 'released'
    or (new.linked_at is null and (new.reason is null or new.reason not in ('banned', 'refused', 'outdated', 'volume_full', 'proxy_failed')))
  then
    new.down_since := null;
  else
    new.down_since := coalesce(old.down_since, now());
  end if;
  return new;
end
$$;

-- Tells what has not been told: how many notices. Up to three numbers in ten minutes have one each, more have one together,
-- once a minute.
create or replace function public.wa_notice_troubles(p_after interval default interval '3 minutes') returns integer
language plpgsql volatile security definer set search_path = '' set lock_timeout = '1s' as $$
declare
  found_row record;
  numbers jsonb;
  made integer := 0;
  lately integer;
  down integer;
  watched integer;
  words text;
begin
  perform pg_advisory_xact_lock(hashtext('wa_notice_troubles'));

  select jsonb_agg(jsonb_build_object('id', id, 'name', name, 'tenant_id', tenant_id) order by id) into numbers
  from public.wa_instances
  where status = 'CONNECTED' and id in (select instance_id from public.wa_told);
  delete from public.wa_told where instance_id in (select value ->> 'id' from jsonb_array_elements(numbers));
  if jsonb_array_length(numbers) > 3 then
    insert into public.wa_notices (kind, text, details)
    values ('many_back', format('%s numbers are connected again.', jsonb_array_length(numbers)),
      jsonb_build_object('numbers', numbers));
    made := 1;
  elsif numbers is not null then
    insert into public.wa_notices (kind, tenant_id, instance_id, text, details)
    select 'back', (value ->> 'tenant_id')::uuid, value ->> 'id',
      format('%s is connected again.', coalesce(value ->> 'name', value ->> 'id')),
      jsonb_build_object('numbers', jsonb_build_array(value))
    from jsonb_array_elements(numbers);
    made := jsonb_array_length(numbers);
  end if;

  select jsonb_agg(
      jsonb_build_object(
        'id', i.id, 'name', name, 'tenant_id', tenant_id, 'reason', word, 'until', until, 'down_since', down_since)
      order by i.id)
  into numbers
  from public.wa_instances as i
  cross join lateral (
    select case when reason in ('scan', 'waiting') then 'logged_out' else coalesce(reason, 'unknown') end as word) as said
  where down_since is not null
    and not exists (
      select from public.wa_told as told
      where told.instance_id = i.id and told.down_since = i.down_since
        and (told.reason = word or public.wa_may_pass(status, word)))
    and (not public.wa_may_pass(status, word) or down_since <= now() - p_after);
  if numbers is null then
    return made;
  end if;
  select count(*) filter (where down_since is not null), count(*) into down, watched
  from public.wa_instances where enabled and (linked_at is not null or down_since is not null);
  lately := (select count(*) from public.wa_notices where kind = 'down' and created_at > now() - interval '10 minutes');
  if jsonb_array_length(numbers) + lately <= 3 then
    for found_row in
      select * from jsonb_to_recordset(numbers)
        as n (id text, name text, tenant_id uuid, reason text, until timestamptz, down_since timestamptz)
    loop
      insert into public.wa_notices (kind, tenant_id, instance_id, reason, text, details)
      values ('down', found_row.tenant_id, found_row.id, found_row.reason,
        format('%s is down: %s%s.', coalesce(found_row.name, found_row.id), public.wa_reason_in_words(found_row.reason),
          to_char(found_row.until at time zone 'UTC', '" (until "YYYY-MM-DD HH24:MI" UTC)"')),
        jsonb_build_object('numbers', jsonb_build_array(to_jsonb(found_row)), 'down', down, 'of', watched));
      made := made + 1;
    end loop;
  elsif exists (
    select from public.wa_notices where kind = 'many_down' and created_at > now() - interval '1 minute'
  ) then
    return made;
  else
    words := (
      select string_agg(format('%s: %s', many, public.wa_reason_in_words(reason)), '; ' order by many desc)
      from (
        select value ->> 'reason' as reason, count(*) as many from jsonb_array_elements(numbers) group by 1) as counted);
    insert into public.wa_notices (kind, text, details)
    values ('many_down', format('%s of %s numbers are down. New: %s.', down, watched, words),
      jsonb_build_object('numbers', numbers, 'down', down, 'of', watched));
    made := made + 1;
  end if;
  insert into public.wa_told (instance_id, down_since, reason)
  select value ->> 'id', (value ->> 'down_since')::timestamptz, value ->> 'reason' from jsonb_array_elements(numbers)
  on conflict do nothing;
  return made;
end
$$;

-- At the end of the transaction that stored the status: all its rows are locked by then, so that two of them cannot
-- wait for each other. What goes wrong here must not cost the worker its call: the next look tells it.
create or replace function public.wa_notice_after() returns trigger
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform public.wa_notice_troubles();
  return null;
exception
when others then
  raise warning 'wa_notice_troubles: % %', sqlstate, sqlerrm;
  return null;
end
$$;

create or replace trigger wa_instances_watch before update on public.wa_instances
  for each row execute function public.wa_watch_instance();
drop trigger if exists wa_instances_notice on public.wa_instances;
create constraint trigger wa_instances_notice after update on public.wa_instances
  deferrable initially deferred for each row
  when (old.status is distinct from new.status or old.reason is distinct from new.reason)
  execute function public.wa_notice_after();

alter table public.wa_notices enable row level security;
alter table public.wa_told enable row level security;
revoke all on table public.wa_notices, public.wa_told from anon, authenticated;
revoke all on sequence public.wa_notices_id_seq from anon, authenticated;
grant select, insert, update, delete on table public.wa_notices, public.wa_told to service_role;
grant usage, select on sequence public.wa_notices_id_seq to service_role;
revoke all on function
  public.wa_reason_in_words(text), public.wa_may_pass(text, text), public.wa_watch_instance(),
  public.wa_notice_troubles(interval), public.wa_notice_after()
from public, anon, authenticated;
grant execute on function
  public.wa_reason_in_words(text), public.wa_may_pass(text, text), public.wa_notice_troubles(interval)
to service_role;

-- Every minute, and notices of before 30 days go, where pg_cron is there.
do $$
begin
  if to_regprocedure('cron.schedule(text, text, text)') is not null then
    execute 'select cron.schedule($1, $2, $3)'
      using 'wa-notice-troubles', '* * * * *', 'select public.wa_notice_troubles()';
    execute 'select cron.schedule($1, $2, $3)' using 'wa-delete-old-notices', '41 3 * * *',
      'delete from public.wa_notices where created_at < now() - interval ''30 days''';
  end if;
end
$$;

notify pgrst, 'reload schema';
