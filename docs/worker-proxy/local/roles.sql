-- What a Supabase project has before its first migration, as far as migration.sql needs it, for a PostgreSQL on a laptop
-- (compose.yaml, profile `local`). psql runs it once, in an empty database, as a superuser.
-- POSTGRES_PASSWORD is in the environment: it becomes the REST side's password, too.
\set ON_ERROR_STOP on
\getenv password POSTGRES_PASSWORD

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password :'password';
grant anon, authenticated, service_role to authenticator;
grant usage on schema public to anon, authenticated, service_role;

-- Who is signed in, for policies: PostgREST puts the claims of the token into this setting.
create schema auth;
grant usage on schema auth to anon, authenticated, service_role;
create function auth.uid() returns uuid language sql stable
  return (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid;
