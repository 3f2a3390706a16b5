/**
 * The Edge Function on a laptop, and what Supabase's gateway does in front of it (compose.yaml, profile `local`).
 *
 *   /functions/v1/<name>   ../index.ts, as it is
 *   /rest/v1/...           PostgREST
 *
 * Not for production: one secret, WORKER_SECRET, is also what signs the keys. It is 32 characters or longer.
 *
 * Environment: WORKER_SECRET and REST_URL (PostgREST's); PORT, if not 54321, which `supabase start` has, too.
 */

type Handler = (request: Request) => Promise<Response>;

const port = Number(Deno.env.get("PORT") || 54321);
const rest = (Deno.env.get("REST_URL") || "").replace(/\/$/, "");
const secret = Deno.env.get("WORKER_SECRET") || "";
if (!rest || secret.length < 32) {
  console.error("error: set REST_URL, and WORKER_SECRET to 32 characters or more (openssl rand -hex 32)");
  Deno.exit(1);
}

Deno.env.set("SUPABASE_URL", `http://127.0.0.1:${port}`);
Deno.env.set("SUPABASE_SERVICE_ROLE_KEY", await key("service_role"));

const answer = await functionsHandler();
const onListen = () => console.log(`http://127.0.0.1:${port}/functions/v1/worker-proxy is the worker-proxy`);
Deno.serve({ port, onListen }, (request) => {
  const { pathname, search } = new URL(request.url);
  if (pathname.startsWith("/functions/v1/")) return answer(request);
  if (!pathname.startsWith("/rest/v1/")) return new Response("Not found.\n", { status: 404 });
  const target = rest + pathname.slice("/rest/v1".length) + search;
  return fetch(target, { method: request.method, headers: request.headers, body: request.body, signal: request.signal })
    .catch(() => new Response("PostgREST does not answer.\n", { status: 503 }));
});

/** The handler that the function gives to Deno.serve. It shall not take a port: this has one. */
async function functionsHandler(): Promise<Handler> {
  const serve = Deno.serve;
  let handler: Handler | undefined;
  Object.defineProperty(Deno, "serve", { configurable: true, writable: true, value: (given: Handler) => handler = given });
  await import("../index.ts"); // a literal: Deno then needs no right to read files
  Object.defineProperty(Deno, "serve", { configurable: true, writable: true, value: serve });
  if (!handler) throw new Error("index.ts does not call Deno.serve");
  return handler;
}

/** A key for a role, as Supabase's are: a JWT, of HS256, that does not expire. */
async function key(role: string): Promise<string> {
  const said = [{ alg: "HS256", typ: "JWT" }, { role }].map((part) => base64url(encode(JSON.stringify(part)))).join(".");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const signing = await crypto.subtle.importKey("raw", encode(secret), algorithm, false, ["sign"]);
  return `${said}.${base64url(new Uint8Array(await crypto.subtle.sign("HMAC", signing, encode(said))))}`;
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function base64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
