-- What a Supabase project has before its first migration, as far as migration.sql can notice: the roles of the REST
-- side, a `postgres` that is no superuser, generous default privileges, auth.uid().
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password '{password}';
grant anon, authenticated, service_role to authenticator;
create role postgres login createdb createrole bypassrls password '{password}';
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
  return nullif(current_setting('request.jwt.claim.sub', true), '')::uuid;

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
