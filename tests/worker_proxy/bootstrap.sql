-- What a Supabase project has before its first migration, as far as migration.sql can notice: the roles of the REST
-- side, a `postgres` that is no superuser, generous default privileges, auth.uid(), Realtime's publication.
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password '{password}';
grant anon, authenticated, service_role to authenticator;
create role postgres login createdb createrole bypassrls password '{password}';
grant create on database postgres to postgres;
grant anon, authenticated, service_role to postgres;

alter schema public owner to postgres;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to anon, authenticated, service_role;

create schema auth;
grant usage on schema auth to anon, authenticated, service_role, postgres;
create function auth.uid() returns uuid language sql stable
  return coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid;

create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;

-- Supabase Storage's own: what is in its buckets is known here, the files are elsewhere.
create role supabase_storage_admin nologin noinherit;
grant supabase_storage_admin to postgres;
create schema storage authorization supabase_storage_admin;
grant usage on schema storage to anon, authenticated, service_role, postgres;
create table storage.buckets (
  id text primary key, name text not null unique, owner uuid, public boolean default false, file_size_limit bigint,
  allowed_mime_types text[], created_at timestamptz default now(), updated_at timestamptz default now()
);
create table storage.objects (
  id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets (id), name text,
  created_at timestamptz default now(), metadata jsonb, unique (bucket_id, name)
);
create function storage.foldername(name text) returns text[] language sql immutable
  return (string_to_array(name, '/'))[1 : array_length(string_to_array(name, '/'), 1) - 1];
alter table storage.buckets owner to supabase_storage_admin;
alter table storage.objects owner to supabase_storage_admin;
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
grant all on storage.buckets, storage.objects to postgres, service_role, authenticated, anon;

-- Of the tests, not of Supabase: every status that the worker's side stored, in order.
create schema test;
create table test.statuses (
  seq bigint generated always as identity primary key,
  instance_id text not null, status text not null, qr_code text, at timestamptz not null default now()
);
create function test.keep_status() returns trigger language plpgsql security definer as $$
begin
  insert into test.statuses (instance_id, status, qr_code) values (new.id, new.status, new.qr_code);
  return new;
end
$$;
