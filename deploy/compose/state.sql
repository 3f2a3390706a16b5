-- A role and a database for the workers alone, as docs/scaling.md has it. psql runs it once, as a superuser; the password
-- is in the environment.
\set ON_ERROR_STOP on
\getenv password STATE_PASSWORD

CREATE ROLE wa_worker LOGIN PASSWORD :'password';
CREATE DATABASE wa_state OWNER wa_worker;
REVOKE ALL ON DATABASE wa_state FROM PUBLIC;
