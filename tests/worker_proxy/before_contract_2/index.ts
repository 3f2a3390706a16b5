/**
 * The worker-proxy as one Supabase Edge Function: contract v1 of wa-worker (docs/contract.md) on the tables of
 * migration.sql.
 *
 * It checks the secret and the request, and picks the answer; what a call does to the data is an SQL function, so each
 * call is one round trip and one transaction. It keeps no state and logs neither bodies nor secrets.
 *
 * Environment: WORKER_SECRET is yours to set; SUPABASE_URL and SUPABASE_SECRET_KEYS (or SUPABASE_SERVICE_ROLE_KEY) are
 * there by themselves.
 */

import { createClient } from "npm:@supabase/supabase-js@2";

/** Rows per poll. Rows that the worker holds back stay listed, so a short page could be full of them. */
const QUEUE_PAGE = 500;

/** Bytes of a request. A long text of 65,536 characters takes a quarter of it. */
const MAX_BODY = 1024 * 1024;

/** Characters of an id or a JID: WhatsApp's have some 20 to 60, and three of these must fit an index entry. */
const MAX_ID = 256;

/** Milliseconds: well under the worker's own 30 s, so that it gets an answer rather than a time-out. */
const DATABASE_DEADLINE = 8000;

/** The year 9999, in unix seconds. */
const LAST_TIMESTAMP = 253402300799;

const STATUSES = ["CONNECTING", "CONNECTED", "DISCONNECTED"];
const CHAT_TYPES = [null, "direct", "group"];
const QR_CODE_PREFIX = "data:image/png;base64,";

type Fields = Record<string, unknown>;

/** A request that is refused; the text goes into the answer. */
class Refused extends Error {
  constructor(readonly status: number, message: string, readonly headers: Record<string, string> = {}) {
    super(message);
  }
}

/** The database said no, or nothing. Its message may quote rows, so only the code is kept. */
class DatabaseError extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

const database = createClient(setting("SUPABASE_URL"), serviceKey(), {
  auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
});
// Trimmed like the token: no header carries the line break that a secret was pasted with.
const expectedToken = await digest(new TextEncoder().encode(setting("WORKER_SECRET").trim()));

const ENDPOINTS = new Map<string, { method: string; answer: (request: Request) => Promise<Response> }>([
  ["disconnected-instances", { method: "GET", answer: disconnectedInstances }],
  ["update-status", { method: "POST", answer: updateStatus }],
  ["queued-messages", { method: "GET", answer: queuedMessages }],
  ["mark-sent", { method: "POST", answer: markSent }],
  ["mark-failed", { method: "POST", answer: markFailed }],
  ["inbound", { method: "POST", answer: inbound }],
]);

Deno.serve(async (request) => {
  const name = endpointName(request);
  try {
    await authorize(request);
    const endpoint = ENDPOINTS.get(name);
    if (endpoint === undefined) {
      throw new Refused(404, "no such endpoint");
    }
    if (request.method !== endpoint.method) {
      throw new Refused(405, `use ${endpoint.method}`, { Allow: endpoint.method });
    }
    return await endpoint.answer(request);
  } catch (problem) {
    if (problem instanceof Refused) {
      return json({ error: problem.message }, problem.status, problem.headers);
    }
    if (problem instanceof DatabaseError) {
      console.error(`${name}: database error ${problem.code}`);
      return json({ error: "database error" }, 500);
    }
    console.error(`${name}: ${problem instanceof Error ? problem.name : "unknown error"}`);
    return json({ error: "internal error" }, 500);
  }
});

// The six calls

async function disconnectedInstances(): Promise<Response> {
  return json(await list("wa_disconnected_instances", {}));
}

async function updateStatus(request: Request): Promise<Response> {
  const body = await jsonObject(request);
  const known = await outcome("wa_update_status", {
    p_instance_id: text(body, "instanceId"),
    p_status: oneOf(body, "status", STATUSES),
    p_qr_code: qrCode(body),
  }, [true, false]);
  // This 404 makes the worker let go of the instance: it is for nothing else.
  return known ? json({ ok: true }) : json({ error: "unknown instance" }, 404);
}

async function queuedMessages(request: Request): Promise<Response> {
  const instanceId = new URL(request.url).searchParams.get("instanceId");
  if (!instanceId) {
    throw new Refused(400, "the query parameter instanceId is missing");
  }
  return json(await list("wa_queued_messages", { p_instance_id: storable(instanceId), p_limit: QUEUE_PAGE }));
}

async function markSent(request: Request): Promise<Response> {
  const body = await jsonObject(request);
  const p_message_id = messageId(body);
  const p_wa_message_id = text(body, "wa_message_id", { max: MAX_ID });
  if ("to" in body) {
    text(body, "to", { max: MAX_ID }); // checked and not stored: a column of your own can have it
  }
  return marked("mark-sent", await mark("wa_mark_sent", { p_message_id, p_wa_message_id }, ["sent", "other"]));
}

async function markFailed(request: Request): Promise<Response> {
  const body = await jsonObject(request);
  const p_message_id = messageId(body);
  const p_error = text(body, "error", { empty: true });
  return marked("mark-failed", await mark("wa_mark_failed", { p_message_id, p_error }, ["failed", "sent"]));
}

async function mark(name: string, args: { p_message_id: number | null } & Fields, found: string[]): Promise<string> {
  return args.p_message_id === null ? "unknown" : await outcome(name, args, [...found, "deleted", "unknown"]);
}

function marked(endpoint: string, result: string): Response {
  if (result === "unknown") {
    // Never one of ours: a mistake that somebody should see. A row that was deleted is answered 200 instead, since the
    // worker repeats a mark until it is.
    console.warn(`${endpoint}: a message id that was never given out`);
    return json({ error: "unknown message" }, 404);
  }
  if (result === "other") {
    console.warn(`${endpoint}: a message that was sent under another wa_message_id, which stays`);
  }
  return json({ ok: true });
}

async function inbound(request: Request): Promise<Response> {
  const body = await jsonObject(request);
  const from = text(body, "from", { max: MAX_ID });
  checkChoice(body);
  const result = await outcome("wa_add_inbound", {
    p_instance_id: text(body, "instanceId"),
    p_chat_id: optionalText(body, "chat_id", MAX_ID) || from,
    p_wa_message_id: text(body, "wa_message_id", { max: MAX_ID }),
    p_chat_type: oneOf(body, "chat_type", CHAT_TYPES),
    p_from: from,
    p_to: text(body, "to", { max: MAX_ID }),
    p_body: text(body, "body", { empty: true }),
    p_sender_id: optionalText(body, "sender_id"),
    p_sender_lid: optionalText(body, "sender_lid"),
    p_push_name: optionalText(body, "push_name"),
    p_message_type: optionalText(body, "message_type"),
    p_timestamp: timestamp(body),
  }, ["new", "repeat", "unknown"]);
  return result === "unknown"
    ? json({ error: "unknown instance" }, 404)
    : json({ ok: true, duplicate: result === "repeat" });
}

// The request

/** The option of an answer to a choice, in two forms: checked and not stored, a column of your own can have it. */
function checkChoice(body: Fields): void {
  checkTexts(body, "button", ["payload", "text"]);
  const interactive = checkTexts(body, "interactive", ["type"]);
  if (interactive !== null) {
    checkTexts(interactive, "button_reply", ["id", "title"], ["description"]);
    checkTexts(interactive, "list_reply", ["id", "title"], ["description"]);
    checkTexts(interactive, "nfm_reply", ["name", "body"], ["response_json"]);
  }
}

/** Throws the 400 unless it is missing, null, or an object with these texts; the optional ones may be null. */
function checkTexts(body: Fields, key: string, required: string[], optional: string[] = []): Fields | null {
  const value = body[key];
  if (value === undefined || value === null) {
    return null;
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new Refused(400, `${key} must be an object or null`);
  }
  const fields = value as Fields;
  required.forEach((name) => text(fields, name, { empty: true }));
  optional.forEach((name) => optionalText(fields, name));
  return fields;
}

/** `inbound` for /worker-proxy/inbound, with or without /functions/v1 in front; "" for no path of ours. */
function endpointName(request: Request): string {
  const path = new URL(request.url).pathname;
  return /^(?:\/functions\/v1)?(?:\/[A-Za-z0-9_-]+)?\/([a-z-]+)$/.exec(path)?.[1] ?? "";
}

/** Throws the 401 unless the request carries the secret. Hashes are compared, all bytes of them: in constant time. */
async function authorize(request: Request): Promise<void> {
  const header = request.headers.get("Authorization") ?? "";
  const space = header.indexOf(" ");
  const token = space < 0 ? "" : header.slice(space + 1).trim();
  // Header bytes arrive as latin-1; a secret that is not ASCII was sent as UTF-8.
  const given = await digest(Uint8Array.from(token, (char) => char.charCodeAt(0)));
  let difference = 0;
  for (let i = 0; i < expectedToken.length; i++) {
    difference |= expectedToken[i] ^ given[i];
  }
  if (difference !== 0 || header.slice(0, space).toLowerCase() !== "bearer") {
    throw new Refused(401, "missing or wrong bearer token", { "WWW-Authenticate": "Bearer" });
  }
}

async function jsonObject(request: Request): Promise<Fields> {
  const bytes = await boundedBody(request);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Refused(400, "the body must be JSON in UTF-8");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refused(400, "the body must be a JSON object");
  }
  return value as Fields;
}

/** Read piece by piece: a body of hundreds of megabytes is more than a function has memory for. */
async function boundedBody(request: Request): Promise<ArrayBuffer> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const piece of request.body ?? []) {
    size += piece.byteLength;
    if (size > MAX_BODY) {
      throw new Refused(413, `the body is larger than ${MAX_BODY} bytes`);
    }
    pieces.push(piece);
  }
  return await new Blob(pieces).arrayBuffer();
}

/** A required string. */
function text(body: Fields, key: string, { empty = false, max = Infinity } = {}): string {
  const value = body[key];
  if (typeof value !== "string" || (value === "" && !empty)) {
    throw new Refused(400, `${key} must be a ${empty ? "" : "non-empty "}string`);
  }
  return short(key, checked(key, value), max);
}

function optionalText(body: Fields, key: string, max = Infinity): string | null {
  const value = body[key] ?? null;
  if (value !== null && typeof value !== "string") {
    throw new Refused(400, `${key} must be a string or null`);
  }
  return value === null ? null : short(key, checked(key, value), max);
}

function short(key: string, value: string, max: number): string {
  if (value.length > max) {
    throw new Refused(400, `${key} is longer than ${max} characters`);
  }
  return value;
}

function checked(key: string, value: string): string {
  // JSON can spell half of a surrogate pair; no UTF-8 database can store it.
  if (!value.isWellFormed()) {
    throw new Refused(400, `${key} holds an unpaired surrogate`);
  }
  return storable(value);
}

/** PostgreSQL has no place for U+0000; a message is not refused for it. */
function storable(value: string): string {
  return value.replaceAll("\0", "\uFFFD");
}

function oneOf<T>(body: Fields, key: string, choices: T[]): T {
  const value = (body[key] ?? null) as T;
  if (!choices.includes(value)) {
    throw new Refused(400, `${key} must be one of ${choices.map(String).join(", ")}`);
  }
  return value;
}

function qrCode(body: Fields): string | null {
  const value = body["qr_code"];
  if (value === null) {
    return null;
  }
  if (typeof value !== "string" || !value.startsWith(QR_CODE_PREFIX)) {
    throw new Refused(400, `qr_code must be null or a string that starts with ${QR_CODE_PREFIX}`);
  }
  return checked("qr_code", value);
}

/** The id, or null for one that this proxy cannot have given out: ids are numbers here, and come back as numbers. */
function messageId(body: Fields): number | null {
  const value = body["messageId"];
  if (typeof value === "string" && value !== "") {
    checked("messageId", value);
    return null;
  }
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new Refused(400, "messageId must be a non-empty string or a whole number");
  }
  return Number.isSafeInteger(value) ? value : null;
}

/** Null too for a time that no calendar has: a message is not refused for it. */
function timestamp(body: Fields): number | null {
  const value = body["timestamp"] ?? null;
  if (value === null) {
    return null;
  }
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new Refused(400, "timestamp must be a whole number of unix seconds or null");
  }
  return value >= 0 && value <= LAST_TIMESTAMP ? value : null;
}

// The rest

/** One SQL function of migration.sql, which gives one of the `possible` values. */
async function outcome<T>(name: string, args: Fields, possible: T[]): Promise<T> {
  const value = await call(name, args) as T;
  // Whatever else answered (an empty 404 of a gateway comes as null) has stored nothing, and 2xx would say so.
  if (!possible.includes(value)) {
    throw new DatabaseError("unexpected");
  }
  return value;
}

/** One that gives a list. */
async function list(name: string, args: Fields): Promise<unknown[]> {
  const rows = await call(name, args);
  if (!Array.isArray(rows)) {
    throw new DatabaseError("unexpected");
  }
  return rows;
}

async function call(name: string, args: Fields): Promise<unknown> {
  const { data, error } = await database.rpc(name, args).abortSignal(AbortSignal.timeout(DATABASE_DEADLINE));
  if (error) {
    throw new DatabaseError(error.code || "unreachable");
  }
  return data;
}

function json(data: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(data), {
    status,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers },
  });
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** A setting that must be there: without it the function does not start, and its log says why. */
function setting(name: string): string {
  const value = Deno.env.get(name);
  if (!value) {
    throw new Error(`${name} is not set`);
  }
  return value;
}

/** The key of today's projects, a dictionary of them, or that of older ones. Either passes row-level security. */
function serviceKey(): string {
  const keys: Record<string, string> = JSON.parse(Deno.env.get("SUPABASE_SECRET_KEYS") || "{}");
  return keys["default"] || setting("SUPABASE_SERVICE_ROLE_KEY");
}
