// A tenant's numbers, as they are now, for connect.js and Connect.tsx. No page of its own.
//
// Realtime only rings: what it says of a row is not looked at, for a column that did not change may be missing in it
// (a QR code is long). The rows are then read again, and also every 30 seconds, for a ring may be lost; every 3 while
// Realtime is not there. Nothing is read while nobody looks at the page.

export const COLUMNS =
  "id,name,enabled,status,reason,until,since,jid,qr_code,pair_phone,pairing_code,pairing_expires_at,created_at";

/** Milliseconds between two looks. */
const LIVE = 30_000, POLLING = 3_000;

/** Milliseconds that a QR code is good for, at the most: the first of a round has 60 seconds, the others 20. */
export const QR_LIFE = 60_000;

/**
 * @typedef {{
 *   id: string, name: string | null, enabled: boolean, status: "CONNECTED" | "CONNECTING" | "DISCONNECTED",
 *   reason: string | null, until: string | null, since: string | null, jid: string | null, qr_code: string | null,
 *   pair_phone: string | null, pairing_code: string | null, pairing_expires_at: string | null, created_at: string
 * }} Row
 * @typedef {{ rows: Row[], live: boolean }} News
 * @typedef {{ call: (name: string, args: Record<string, string>) => Promise<void>, close: () => void }} Numbers
 */

/**
 * Calls `heard` with all rows whenever they may have changed, until it is closed.
 * `call` is an RPC of customers.sql; it throws what it answers: {hint, message}.
 * @param {import("@supabase/supabase-js").SupabaseClient} supabase
 * @param {(news: News) => void} heard
 * @param {(problem: unknown) => void} failed  The rows cannot be read; it is tried again.
 * @returns {Numbers}
 */
export function openNumbers(supabase, heard, failed) {
  let live = false, closed = false, reading = false, again = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  async function look() {
    clearTimeout(timer);
    if (closed || document.hidden) return;
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    const { data, error } = await supabase.from("wa_instances").select(COLUMNS).order("created_at");
    reading = false;
    if (closed) return;
    timer = setTimeout(look, again ? 0 : live ? LIVE : POLLING);
    again = false;
    if (error) failed(error);
    else heard({ rows: /** @type {Row[]} */ (data), live });
  }

  const channel = supabase
    .channel("wa_instances")
    .on("postgres_changes", { event: "*", schema: "public", table: "wa_instances" }, () => void look())
    .subscribe((state) => {
      live = state === "SUBSCRIBED";
      void look();
    });
  const seen = () => void look();
  document.addEventListener("visibilitychange", seen);
  void look();

  return {
    async call(name, args) {
      const { error } = await supabase.rpc(name, args);
      if (error) throw error;
      await look();
    },
    close() {
      closed = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
      void supabase.removeChannel(channel);
    },
  };
}

/**
 * The picture of a code, or null: nothing but a PNG of the worker's goes into a page.
 * @param {Row} row
 */
export function qrPicture(row) {
  return row.enabled && row.qr_code?.startsWith("data:image/png;base64,") ? row.qr_code : null;
}

/**
 * Whole seconds until then, 0 at the least.
 * @param {number} then  Milliseconds since 1970.
 */
export function secondsTo(then) {
  return Math.max(0, Math.ceil((then - Date.now()) / 1000));
}

/**
 * The number of an instance, as people write it.
 * @param {Row} row
 */
export function phoneOf(row) {
  const digits = row.jid?.split("@")[0].split(":")[0] ?? "";
  return digits ? `+${digits}` : "";
}
