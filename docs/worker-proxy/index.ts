/**
 * The worker-proxy as one Supabase Edge Function: versions 1 and 2 of wa-worker's contract (docs/contract.md) on the
 * tables of migration.sql, and files in a private bucket of Supabase Storage, which workers put there by signed URLs.
 *
 * It checks the secret and the request, and picks the answer; what a call does to the data is an SQL function, so each
 * call is one round trip and one transaction; a poll that is held open is one for each look. It keeps no state that
 * must last, and logs neither bodies nor secrets.
 *
 * Environment: WORKER_SECRET is yours to set, and POLL_HOLD_SECONDS if you want polls to be held for less than 20
 * seconds, or not at all (0), WANT for what else you want to hear of, and SUPABASE_PUBLIC_URL where SUPABASE_URL is an
 * address that workers cannot reach; SUPABASE_URL and SUPABASE_SECRET_KEYS (or SUPABASE_SERVICE_ROLE_KEY) are there by
 * themselves.
 */

import { createClient } from "npm:@supabase/supabase-js@2";

/** Rows per poll. Rows that the worker holds back stay listed, so a short page could be full of them. */
const QUEUE_PAGE = 500;

/** Rows and bytes of JSON in the answer to a poll for all instances: the contract's. */
const POLL_PAGE = 200;
const POLL_PAGE_BYTES = 1024 * 1024;

/** Bytes of a request. A long text of 65,536 characters takes a quarter of it. */
const MAX_BODY = 1024 * 1024;

/** Bytes of a call for many, and what it may name: twice what a worker sends, which may count otherwise. */
const MAX_BATCH_BODY = 2 * MAX_BODY;
const MAX_EVENTS = 200;
const MAX_ASKED = 10_000;

/**
 * Seconds: an answer is held no longer, whatever the worker asks for. Supabase ends a request that has no answer after
 * 150 seconds, and an instance of a function, with the requests that are in it, 150 seconds (400 on paid plans) after
 * its start: the shorter a hold, the fewer meet that end. The worker only asks again.
 */
const POLL_HOLD = seconds("POLL_HOLD_SECONDS", 20);

/** Seconds that a worker may ask for. */
const MAX_WAIT = 60;

/**
 * Milliseconds that one look waits in the database: well under the statement_timeout of Supabase's roles, 3 to 8
 * seconds, and what a poll that its worker has given up takes from the database at most.
 */
const LOOK = 2000;

/** Milliseconds from one look to the next where the database has no place to wait. */
const LOOK_PAUSE = 1000;

/** The kinds of messages that you want to hear of, a comma list (contract.md: FORWARD_KINDS); null: as the worker is set. */
const WANT = Deno.env.get("WANT")?.split(",").map((kind) => kind.trim()).filter((kind) => kind !== "") ?? null;

/** The bucket of migration.sql. */
const BUCKET = "wa-media";

/** Bytes of a file: what migration.sql lets into the bucket. */
const MAX_FILE = 100 * 1024 * 1024;

/** Files that one POST /expire-media removes at most: what Storage takes in one call. */
const EXPIRED_PAGE = 1000;

const MAX_EVENT_ID = 128;

/** Characters of an id or a JID: WhatsApp's have some 20 to 60, and three of these must fit an index entry. */
const MAX_ID = 256;

/** Milliseconds: well under the worker's own 30 s, so that it gets an answer rather than a time-out. */
const DATABASE_DEADLINE = 8000;

/** The year 9999, in unix seconds. */
const LAST_TIMESTAMP = 253402300799;

const STATUSES = ["CONNECTING", "CONNECTED", "DISCONNECTED"];
const CHAT_TYPES = [null, "direct", "group"];
const QR_CODE_PREFIX = "data:image/png;base64,";
/** The fourth of three shards is one, too, which has no instances. */
const SHARD = /^([1-9][0-9]{0,2}|1000)\/([1-9][0-9]{0,2}|1000)$/;
const WORKER = /^[A-Za-z0-9._-]{1,64}$/;

/** What a worker says of an instance, and the argument of wa_poll that its id goes into. */
const LISTS = new Map([["CONNECTED", "p_connected"], ["CONNECTING", "p_down"], ["DISCONNECTED", "p_down"]]);

/** What may become of an event that is one. */
const WORDS = new Map([
  ["status", ["stored", "unknown"]],
  ["sent", ["sent", "other", "deleted", "unknown"]],
  ["failed", ["failed", "sent", "deleted", "unknown"]],
  ["inbound", ["new", "repeat", "unknown"]],
  ["message_status", ["stored", "unknown", "no message"]],
  ["event", ["stored", "unknown"]],
]);

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
  // Storage's part of the library has no deadline of its own.
  global: { fetch: (input, init) => fetch(input, { signal: AbortSignal.timeout(DATABASE_DEADLINE), ...init }) },
});
/** Where workers and pages reach Supabase: another address than SUPABASE_URL where that is inside a network of its own. */
const publicUrl = (Deno.env.get("SUPABASE_PUBLIC_URL") || setting("SUPABASE_URL")).replace(/\/+$/, "");
// Trimmed like the token: no header carries the line break that a secret was pasted with.
const expectedToken = await digest(new TextEncoder().encode(setting("WORKER_SECRET").trim()));

interface Endpoint {
  method: string;
  /** The status that says: the database is not there. */
  down: number;
  answer: (request: Request) => Promise<Response>;
}

const ENDPOINTS = new Map<string, Endpoint>([
  ["disconnected-instances", { method: "GET", down: 500, answer: disconnectedInstances }],
  ["update-status", { method: "POST", down: 500, answer: updateStatus }],
  ["queued-messages", { method: "GET", down: 500, answer: queuedMessages }],
  ["mark-sent", { method: "POST", down: 500, answer: markSent }],
  ["mark-failed", { method: "POST", down: 500, answer: markFailed }],
  ["inbound", { method: "POST", down: 500, answer: inbound }],
  ["media-upload", { method: "POST", down: 503, answer: mediaUpload }],
  ["message-status", { method: "POST", down: 500, answer: messageStatus }],
  ["event", { method: "POST", down: 500, answer: chatEvent }],
  ["expire-media", { method: "POST", down: 503, answer: expireMedia }],
  ["poll", { method: "POST", down: 503, answer: poll }],
  ["events", { method: "POST", down: 503, answer: events }],
]);

Deno.serve(async (request) => {
  const name = endpointName(request);
  const endpoint = ENDPOINTS.get(name);
  try {
    await authorize(request);
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
      return json({ error: "database error" }, endpoint?.down);
    }
    console.error(`${name}: ${problem instanceof Error ? problem.name : "unknown error"}`);
    return json({ error: "internal error" }, 500);
  }
});

// The six calls of version 1. Those that store something are an /events with one event.

async function disconnectedInstances(): Promise<Response> {
  return json(await list("wa_disconnected_instances", {}));
}

async function updateStatus(request: Request): Promise<Response> {
  return await one("update-status", statusEvent(await jsonObject(request)));
}

async function queuedMessages(request: Request): Promise<Response> {
  const instanceId = new URL(request.url).searchParams.get("instanceId");
  if (!instanceId) {
    throw new Refused(400, "the query parameter instanceId is missing");
  }
  return json(await list("wa_queued_messages", { p_instance_id: storable(instanceId), p_limit: QUEUE_PAGE }));
}

async function markSent(request: Request): Promise<Response> {
  return await one("mark-sent", sentEvent(await jsonObject(request)));
}

async function markFailed(request: Request): Promise<Response> {
  return await one("mark-failed", failedEvent(await jsonObject(request)));
}

async function inbound(request: Request): Promise<Response> {
  return await one("inbound", inboundEvent(await jsonObject(request)));
}

async function messageStatus(request: Request): Promise<Response> {
  return await one("message-status", messageStatusEvent(await jsonObject(request)));
}

async function chatEvent(request: Request): Promise<Response> {
  return await one("event", chatEventEvent(await jsonObject(request)));
}

async function one(endpoint: string, event: WorkerEvent): Promise<Response> {
  const [word] = await take([event]);
  const { status, error, code } = outcome(endpoint, event, word);
  if (code !== undefined) {
    throw new DatabaseError(code);
  }
  if (error !== undefined) {
    return json({ error }, status);
  }
  return json(event.type === "inbound" ? { ok: true, duplicate: word === "repeat" } : { ok: true });
}

// Files

async function mediaUpload(request: Request): Promise<Response> {
  const body = await jsonObject(request);
  const asked = MEDIA_UPLOAD("", body) as Fields;
  if ((asked["size"] as number) > MAX_FILE) {
    throw new Refused(413, `a file may have ${MAX_FILE} bytes`);
  }
  const found = await call("wa_media_upload", {
    p_instance_id: asked["instanceId"],
    p_chat_id: asked["chat_id"],
    p_wa_message_id: asked["wa_message_id"],
    p_message_type: asked["message_type"],
    p_mime_type: asked["mime_type"],
    p_size: asked["size"],
    p_sha256: asked["sha256"],
    p_filename: asked["filename"] ?? null,
    p_extension: extension(asked["mime_type"] as string),
  });
  const path = (found as Fields | null)?.["path"];
  if (path === null) {
    return json({ error: "unknown instance" }, 404);
  }
  if (typeof path !== "string") {
    throw new DatabaseError("unexpected");
  }
  return json({
    upload_url: await signedUploadUrl(path),
    method: "PUT",
    // With x-upsert a worker that lost the answer may send the file again: the path has the file's hash in it.
    headers: { "Content-Type": asked["mime_type"], "x-upsert": "true" },
    url: `${publicUrl}/storage/v1/object/authenticated/${BUCKET}/${path}`,
  });
}

async function signedUploadUrl(path: string): Promise<string> {
  const bucket = database.storage.from(BUCKET);
  let { data, error } = await bucket.createSignedUploadUrl(path, { upsert: true });
  if (error !== null && /already exists/i.test(error.message)) {
    // Storage of before 2024 signs for no file that is there, whatever it is asked.
    await bucket.remove([path]);
    ({ data, error } = await bucket.createSignedUploadUrl(path, { upsert: true }));
  }
  if (error !== null || data === null) {
    throw new DatabaseError(`storage ${(error as { status?: number } | null)?.status ?? "unreachable"}`);
  }
  return data.signedUrl.replace(setting("SUPABASE_URL").replace(/\/+$/, ""), publicUrl);
}

/** `.jpg` for image/jpeg and so on: for whoever downloads it. What is not here has none. */
function extension(mimeType: string): string {
  const [kind] = mimeType.toLowerCase().split(";");
  return EXTENSIONS.get(kind.trim()) ?? "";
}

const EXTENSIONS = new Map([
  ["image/jpeg", ".jpg"],
  ["image/png", ".png"],
  ["image/webp", ".webp"],
  ["image/gif", ".gif"],
  ["video/mp4", ".mp4"],
  ["video/3gpp", ".3gp"],
  ["audio/ogg", ".ogg"],
  ["audio/mpeg", ".mp3"],
  ["audio/mp4", ".m4a"],
  ["audio/aac", ".aac"],
  ["application/pdf", ".pdf"],
]);

/** Removes files that are older than so many days, and those of instances that are gone. Yours to call, on a schedule. */
async function expireMedia(request: Request): Promise<Response> {
  const days = (await jsonObject(request))["days"];
  if (typeof days !== "number" || !Number.isInteger(days) || days < 1 || days > 36500) {
    throw new Refused(400, "days must be a whole number from 1 to 36500");
  }
  const paths = await list("wa_expired_media", { p_days: days, p_limit: EXPIRED_PAGE }) as string[];
  if (paths.length > 0) {
    const { error } = await database.storage.from(BUCKET).remove(paths);
    if (error !== null) {
      throw new DatabaseError(`storage ${(error as { status?: number }).status ?? "unreachable"}`);
    }
    await call("wa_forget_media", { p_paths: paths });
  }
  return json({ removed: paths.length, more: paths.length === EXPIRED_PAGE });
}

// The two calls of version 2

/** The poll of each worker that came last, while it is held. */
const lastPolls = new Map<string, Request>();

async function poll(request: Request): Promise<Response> {
  const body = await jsonObject(request, MAX_BATCH_BODY);
  const worker = text(body, "worker");
  if (!WORKER.test(worker)) {
    throw new Refused(400, "worker must be 1 to 64 of A-Z, a-z, 0-9, dot, underscore and dash");
  }
  const asked = askedInstances(body);
  const until = performance.now() + 1000 * Math.min(wait(body), POLL_HOLD);
  let before: string | undefined;
  lastPolls.set(worker, request);
  try {
    while (true) {
      const started = performance.now();
      const { due, ...found } = await look(asked, Math.min(LOOK, Math.max(0, Math.ceil(until - started))));
      // What a worker believes of its instances says nothing of their pair_phone: a change of that is seen here.
      const listed = JSON.stringify(found.instances);
      if (due || performance.now() >= until || listed !== (before ?? listed)) {
        return json(WANT === null ? found : { ...found, want: WANT });
      }
      before = listed;
      // A worker that asks anew has given this one up, which nothing on the way tells reliably: it only ends in time.
      const next = lastPolls.get(worker) === request ? Math.min(started + LOOK_PAUSE, until) : until;
      await new Promise((resolve) => setTimeout(resolve, next - performance.now()));
    }
  } finally {
    if (lastPolls.get(worker) === request) {
      lastPolls.delete(worker);
    }
  }
}

/** The ids of the instances that a worker runs, by what it says of them. Those that are busy sending are in none. */
function askedInstances(body: Fields): Fields {
  const rows = body["instances"];
  if (!Array.isArray(rows)) {
    throw new Refused(400, "instances must be a list");
  }
  const states = new Map<string, string>();
  for (const row of rows) {
    const fields = object(row, "each of instances must be an object");
    states.set(text(fields, "id"), text(fields, "state"));
  }
  if (rows.length > MAX_ASKED) {
    throw new Refused(413, `more than ${MAX_ASKED} instances`);
  }
  const asked: Record<string, string[]> = { p_connected: [], p_down: [], p_other: [] };
  for (const [id, state] of states) {
    if (state !== "SENDING") {
      asked[LISTS.get(state) ?? "p_other"].push(id);
    }
  }
  return { ...asked, ...part(body) };
}

/** What of all instances is asked for, of several workers at one proxy: the arguments of wa_poll that say so. */
function part(body: Fields): Fields {
  const said: Fields = {};
  if (body["shard"] !== undefined) {
    const found = SHARD.exec(text(body, "shard"));
    if (found === null) {
      throw new Refused(400, "shard must be two whole numbers from 1 to 1000, as in 1/3");
    }
    Object.assign(said, { p_shard: Number(found[1]), p_shards: Number(found[2]) });
  }
  if (body["peers"] !== undefined && typeof body["peers"] !== "boolean") {
    throw new Refused(400, "peers must be true or false");
  }
  return body["peers"] === true ? { ...said, p_peers: true } : said;
}

async function look(asked: Fields, hold: number): Promise<{ instances: unknown; messages: unknown; due: boolean }> {
  const args = { ...asked, p_hold_ms: hold, p_limit: POLL_PAGE, p_bytes: POLL_PAGE_BYTES };
  const found = await call("wa_poll", args) as Fields | null;
  const { instances, messages, due } = found ?? {};
  if (!Array.isArray(instances) || !Array.isArray(messages) || typeof due !== "boolean") {
    throw new DatabaseError("unexpected");
  }
  return { instances, messages, due };
}

async function events(request: Request): Promise<Response> {
  const given = (await jsonObject(request, MAX_BATCH_BODY))["events"];
  if (!Array.isArray(given)) {
    throw new Refused(400, "events must be a list");
  }
  if (given.length > MAX_EVENTS) {
    throw new Refused(413, `more than ${MAX_EVENTS} events`);
  }
  const read = given.map(checkedEvent);
  const words = await take(read);
  const results = read.map((event, i) => outcome("events", event, words[i]));
  results.forEach(({ code }) => code !== undefined && console.error(`events: database error ${code}`));
  return json({ results: results.map(({ status, error }) => ({ status, error })) });
}

// Events

/** An event for wa_take_event of migration.sql; one with a `problem` is none, and has its place among the others. */
interface WorkerEvent extends Fields {
  type: string;
  problem?: string;
}

const EVENTS = new Map<unknown, (body: Fields) => WorkerEvent>([
  ["status", statusEvent],
  ["sent", (body) => ({ ...sentEvent(body), instance_id: text(body, "instanceId") })],
  ["failed", (body) => ({ ...failedEvent(body), instance_id: text(body, "instanceId") })],
  ["inbound", inboundEvent],
  ["message_status", messageStatusEvent],
  ["event", chatEventEvent],
]);

function checkedEvent(given: unknown): WorkerEvent {
  let body: Fields = {};
  try {
    body = object(given, "each of events must be an object");
    text(body, "event_id", { max: MAX_EVENT_ID });
    const check = EVENTS.get(body["type"]);
    if (check === undefined) {
      throw new Refused(400, `type must be one of ${[...EVENTS.keys()].join(", ")}`);
    }
    return check(body);
  } catch (problem) {
    if (!(problem instanceof Refused)) {
      throw problem;
    }
    return { type: "refused", problem: problem.message, ...chatOf(body) };
  }
}

/** The chat of a message or a change that is refused, as far as it can be read: nothing later of it may pass it. */
function chatOf({ type, instanceId, from, chat_id }: Fields): Fields {
  const chat = type === "inbound" ? from : type === "event" ? chat_id : null;
  const known = [instanceId, chat].every((id) => typeof id === "string" && id.isWellFormed());
  return known ? { instance_id: storable(instanceId as string), from: storable(chat as string) } : {};
}

function statusEvent(body: Fields): WorkerEvent {
  return {
    type: "status",
    instance_id: text(body, "instanceId"),
    status: oneOf(body, "status", STATUSES),
    qr_code: qrCode(body),
    reason: optionalText(body, "reason", MAX_ID),
    until: clockTime(body, "until"),
    action: optionalText(body, "action", MAX_ID),
    jid: optionalText(body, "jid", MAX_ID),
    push_name: optionalText(body, "push_name"),
    since: clockTime(body, "since"),
    pairing_code: optionalText(body, "pairing_code", MAX_ID),
    pairing_error: optionalText(body, "pairing_error", MAX_ID), // for people: it is not kept
    pairing_expires_at: clockTime(body, "pairing_expires_at"),
  };
}

function sentEvent(body: Fields): WorkerEvent {
  return {
    type: "sent",
    message_id: messageId(body),
    wa_message_id: text(body, "wa_message_id", { max: MAX_ID }),
    to: "to" in body ? text(body, "to", { max: MAX_ID }) : null,
    timestamp: clockTime(body, "timestamp"),
  };
}

function failedEvent(body: Fields): WorkerEvent {
  return { type: "failed", message_id: messageId(body), error: text(body, "error", { empty: true }) };
}

function inboundEvent(body: Fields): WorkerEvent {
  const from = text(body, "from", { max: MAX_ID });
  return {
    type: "inbound",
    ...choice(body),
    instance_id: text(body, "instanceId"),
    chat_id: optionalText(body, "chat_id", MAX_ID) || from,
    wa_message_id: text(body, "wa_message_id", { max: MAX_ID }),
    chat_type: oneOf(body, "chat_type", CHAT_TYPES),
    from,
    to: text(body, "to", { max: MAX_ID }),
    body: text(body, "body", { empty: true }),
    sender_id: optionalText(body, "sender_id"),
    sender_lid: optionalText(body, "sender_lid"),
    push_name: optionalText(body, "push_name"),
    message_type: optionalText(body, "message_type"),
    timestamp: timestamp(body, "timestamp"),
    content: content(body),
  };
}

function messageStatusEvent(body: Fields): WorkerEvent {
  const check = body["status"] === "held" ? HELD_MESSAGE : MESSAGE_STATUS;
  const { instanceId, ...told } = check("", body) as Fields;
  // An id that cannot be one of ours is one that was never given out.
  const named = body["messageId"] == null ? null : messageId(body) ?? 0;
  return { type: "message_status", ...told, timestamp: calendar(told), instance_id: instanceId, message_id: named };
}

function chatEventEvent(body: Fields): WorkerEvent {
  const { instanceId, ...told } = CHAT_EVENT("", body) as Fields;
  return { type: "event", ...told, timestamp: calendar(told), instance_id: instanceId };
}

/** Null for a time that no calendar has. */
function calendar({ timestamp }: Fields): number | null {
  return (timestamp as number) <= LAST_TIMESTAMP ? timestamp as number : null;
}

/** What SQL says became of each event, in a word. All of it is stored by then, or nothing. */
async function take(given: WorkerEvent[]): Promise<string[]> {
  // `problem` may quote what was sent, and stays here.
  const words = await list("wa_events", { p_events: given.map(({ problem: _, ...event }) => event) });
  if (words.length !== given.length || !words.every((word) => typeof word === "string")) {
    throw new DatabaseError("unexpected");
  }
  return words;
}

/** What the call of version 1 answers where an event came to `word`; `code`: PostgreSQL refused it, and why. */
function outcome(name: string, event: WorkerEvent, word: string): { status: number; error?: string; code?: string } {
  if (word === "held") {
    return { status: 503, error: "an earlier message of this chat was not taken" };
  }
  if (word === "refused" && event.problem !== undefined) {
    return { status: 400, error: event.problem };
  }
  if (word.startsWith("error ")) {
    return { status: 500, error: "database error", code: word.slice("error ".length) };
  }
  // Whatever else answered (an empty 404 of a gateway comes as null) has stored nothing, and 2xx would say so.
  if (!WORDS.get(event.type)?.includes(word)) {
    throw new DatabaseError("unexpected");
  }
  const mark = event.type === "sent" || event.type === "failed";
  if (word === "unknown" && mark) {
    // Never one of ours: a mistake that somebody should see. A row that was deleted is answered 200 instead, since the
    // worker repeats a mark until it is.
    console.warn(`${name}: a message id that was never given out`);
    return { status: 404, error: "unknown message" };
  }
  if (word === "no message") {
    return { status: 404, error: "unknown message" };
  }
  if (word === "unknown") {
    // For a status this makes the worker let go of the instance: it is for nothing else.
    return { status: 404, error: "unknown instance" };
  }
  if (word === "other") {
    console.warn(`${name}: a message that was sent under another wa_message_id, which stays`);
  }
  return { status: 200 };
}

// What a message may hold

/** Gives a value as it is stored, with what the contract names of it and no more. Throws the 400, which has the name. */
type Check = (name: string, value: unknown) => unknown;

function wrong(name: string, what: string): Refused {
  return new Refused(400, `${name} must be ${what}`);
}

function anyText(name: string, value: unknown): string {
  if (typeof value !== "string") {
    throw wrong(name, "a string");
  }
  return checked(name, value);
}

function someText(name: string, value: unknown): string {
  if (value === "") {
    throw wrong(name, "a non-empty string");
  }
  return anyText(name, value);
}

/** One that has a place in an index. */
function id(name: string, value: unknown): string {
  return short(name, someText(name, value), MAX_ID);
}

function matching(pattern: RegExp, what: string): Check {
  return (name, value) => {
    if (!pattern.test(anyText(name, value))) {
      throw wrong(name, what);
    }
    return value;
  };
}

function flag(name: string, value: unknown): unknown {
  if (typeof value !== "boolean") {
    throw wrong(name, "true or false");
  }
  return value;
}

function count(name: string, value: unknown): unknown {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw wrong(name, "a whole number, 0 or more");
  }
  return value;
}

function degrees(most: number): Check {
  return (name, value) => {
    if (typeof value !== "number" || !(Math.abs(value) <= most)) {
      throw wrong(name, `a number from -${most} to ${most}`);
    }
    return value;
  };
}

function listOf(check: Check, least = 0): Check {
  return (name, value) => {
    if (!Array.isArray(value) || value.length < least) {
      throw wrong(name, least > 0 ? "a list of some" : "a list");
    }
    return value.map((item, i) => check(`${name}[${i}]`, item));
  };
}

/** An object with what is required; what is optional may be null or missing. A name of "" is for the whole body. */
function shape(required: Record<string, Check>, optional: Record<string, Check> = {}): Check {
  return (name, value) => {
    const given = object(value, `${name} must be an object`);
    const prefix = name === "" ? "" : `${name}.`;
    const found: Fields = {};
    for (const [key, check] of Object.entries(required)) {
      if (!Object.hasOwn(given, key)) {
        throw new Refused(400, `${prefix}${key} is missing`);
      }
      found[key] = check(prefix + key, given[key]);
    }
    for (const [key, check] of Object.entries(optional)) {
      if (Object.hasOwn(given, key) && given[key] !== null) {
        found[key] = check(prefix + key, given[key]);
      }
    }
    return found;
  };
}

function texts(...keys: string[]): Record<string, Check> {
  return Object.fromEntries(keys.map((key) => [key, anyText]));
}

const sha256 = matching(/^[0-9a-f]{64}$/, "a SHA-256 in 64 lower-case hexadecimal digits");
const mimeType = matching(
  /^(?=.{1,255}$)[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+(?: *;[\x20-\x7e]*)?$/i,
  "a media type like image/jpeg",
);

const GROUP = shape({ id: someText }, { subject: anyText });

const CONTENT = shape({}, {
  from_me: flag,
  media: shape({ mime_type: someText }, {
    sha256,
    size: count,
    filename: anyText,
    voice: flag,
    animated: flag,
    duration: count,
    width: count,
    height: count,
    url: someText,
    error: someText,
  }),
  context: shape({}, {
    message_id: someText,
    from: someText,
    body: anyText,
    forwarded: flag,
    frequently_forwarded: flag,
  }),
  reaction: shape({ message_id: id, emoji: anyText }),
  edit: shape({ message_id: someText }),
  revoke: shape({ message_id: someText }, { by: someText }),
  location: shape(
    { latitude: degrees(90), longitude: degrees(180) },
    { ...texts("name", "address", "url"), live: flag },
  ),
  contacts: listOf(
    shape(
      { name: shape({ formatted_name: anyText }) },
      { phones: listOf(shape({ phone: anyText }, { wa_id: anyText })), vcard: anyText },
    ),
    1,
  ),
  order: shape({ id: anyText }, { ...texts("title", "text", "total", "currency"), item_count: count }),
  product: shape({ id: anyText }, texts("title", "description", "retailer_id", "price", "currency", "url")),
  poll: shape({ name: anyText, options: listOf(anyText) }, { selectable_count: count }),
  poll_vote: shape({ message_id: someText }, { selected: listOf(anyText) }),
  event: shape({ name: anyText }, {
    ...texts("description", "location", "join_link"),
    start_time: count,
    end_time: count,
    canceled: flag,
  }),
  referral: shape(
    {},
    texts(
      ...["source_url", "source_type", "source_id", "headline", "body", "media_type", "image_url", "video_url"],
      "ctwa_clid",
    ),
  ),
  mentions: listOf(someText),
  group: GROUP,
  call: shape({ id: someText }, { video: flag, group: flag, outcome: someText }),
  update: flag,
});

/** Kinds that say nothing without their object, which has the same name. */
const MUST_HAVE = ["reaction", "edit", "revoke", "poll_vote"];

const MEDIA_UPLOAD = shape({
  instanceId: someText,
  chat_id: id,
  wa_message_id: id,
  message_type: someText,
  mime_type: mimeType,
  size: count,
  sha256,
}, { filename: anyText });

const MESSAGE_STATUS = shape({
  instanceId: someText,
  wa_message_id: id,
  chat_id: id,
  status: matching(/^(?:failed|delivered|read|played)$/, "one of failed, delivered, read, played"),
  timestamp: count,
  recipient_id: id,
}, { error: someText });

/** Of a message that has not been sent: a worker with PACE holds it back. */
const HELD_MESSAGE = shape({
  instanceId: someText,
  chat_id: id,
  status: matching(/^held$/, "held"),
  reason: someText,
  until: count,
  timestamp: count,
});

const CHAT_EVENT = shape({ instanceId: someText, event_type: someText, chat_id: id, timestamp: count }, {
  group: GROUP,
  action: someText,
  participants: listOf(someText),
  by: someText,
  announce: flag,
  description: anyText,
  wa_message_id: someText,
});

function content(body: Fields): Fields {
  const found = CONTENT("", body) as Fields;
  const kind = body["message_type"] as string;
  if (MUST_HAVE.includes(kind) && found[kind] === undefined) {
    throw new Refused(400, `${kind} is missing`);
  }
  return found;
}

// The request

/** The option of an answer to a choice, in its two forms, with what the contract names of it and no more. */
function choice(body: Fields): Fields {
  const button = someTexts(body, "button", ["payload", "text"]);
  const interactive = someTexts(body, "interactive", ["type"]);
  if (interactive !== null) {
    const given = body["interactive"] as Fields;
    const replies = {
      button_reply: someTexts(given, "button_reply", ["id", "title"], ["description"]),
      list_reply: someTexts(given, "list_reply", ["id", "title"], ["description"]),
      nfm_reply: someTexts(given, "nfm_reply", ["name", "body"], ["response_json"]),
    };
    Object.assign(interactive, without(replies, null));
  }
  return { button, interactive };
}

/** These texts of an object; the optional ones may be null. Throws the 400. Null: it is null or missing. */
function someTexts(body: Fields, key: string, required: string[], optional: string[] = []): Fields | null {
  const value = body[key];
  if (value === undefined || value === null) {
    return null;
  }
  const fields = object(value, `${key} must be an object or null`);
  const found = [
    ...required.map((name) => [name, text(fields, name, { empty: true })]),
    ...optional.map((name) => [name, optionalText(fields, name)]),
  ];
  return without(Object.fromEntries(found), null);
}

function without(fields: Fields, unwanted: unknown): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== unwanted));
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

async function jsonObject(request: Request, maxBytes = MAX_BODY): Promise<Fields> {
  const bytes = await boundedBody(request, maxBytes);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Refused(400, "the body must be JSON in UTF-8");
  }
  return object(value, "the body must be a JSON object");
}

function object(value: unknown, problem: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refused(400, problem);
  }
  return value as Fields;
}

/** Read piece by piece: a body of hundreds of megabytes is more than a function has memory for. */
async function boundedBody(request: Request, maxBytes: number): Promise<ArrayBuffer> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const piece of request.body ?? []) {
    size += piece.byteLength;
    if (size > maxBytes) {
      throw new Refused(413, `the body is larger than ${maxBytes} bytes`);
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
function timestamp(body: Fields, key: string): number | null {
  const value = body[key] ?? null;
  if (value === null) {
    return null;
  }
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new Refused(400, `${key} must be a whole number of unix seconds or null`);
  }
  return value >= 0 && value <= LAST_TIMESTAMP ? value : null;
}

/** As `timestamp()`, of the worker's own clock: there a number that is no time is a mistake. */
function clockTime(body: Fields, key: string): number | null {
  const value = timestamp(body, key);
  if (value === null && body[key] != null && !(Number.isSafeInteger(body[key]) && (body[key] as number) >= 0)) {
    throw new Refused(400, `${key} must be a whole number of unix seconds or null`);
  }
  return value;
}

/** Seconds for which the answer may be held. */
function wait(body: Fields): number {
  const value = body["wait"];
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > MAX_WAIT) {
    throw new Refused(400, `wait must be a whole number of seconds from 0 to ${MAX_WAIT}`);
  }
  return value;
}

// The rest

/** One SQL function of migration.sql that gives a list. */
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

/** A setting that need not be there: whole seconds, 0 or more. */
function seconds(name: string, unset: number): number {
  const value = Deno.env.get(name) || String(unset);
  if (!/^\d+$/.test(value)) {
    throw new Error(`${name} must be a whole number of seconds`);
  }
  return Number(value);
}

/** The key of today's projects, a dictionary of them, or that of older ones. Either passes row-level security. */
function serviceKey(): string {
  const keys: Record<string, string> = JSON.parse(Deno.env.get("SUPABASE_SECRET_KEYS") || "{}");
  return keys["default"] || setting("SUPABASE_SERVICE_ROLE_KEY");
}
