// The page connect.html: sign in, add numbers, scan, and see how they are. Its words are in words.js, what it knows of
// the numbers in numbers.js. It writes text and no HTML, and a card's parts stay while they are filled anew, so that the
// focus stays where it is.

import { openNumbers, phoneOf, qrPicture, QR_LIFE, secondsTo } from "./numbers.js";
import { errorOf, stateOf, wordsFor } from "./words.js";

const { language, words } = wordsFor(navigator.languages);
const config = JSON.parse(part(document, "#config").textContent);
const supabase = window["supabase"].createClient(config.url, config.key);

/** Each card, and since when (milliseconds) it shows this code. */
const cards = new Map();
let numbers = null;

document.documentElement.lang = language;
document.title = words.title;
say(document);
part(document, "#new-name").placeholder = words.namePlaceholder;

supabase.auth.onAuthStateChange((_event, session) => show(session !== null));
setInterval(countDown, 1000);

submitted(part(document, "#sign-in"), async (form) => {
  const email = form.elements.namedItem("email").value, password = form.elements.namedItem("password").value;
  const { error } = await supabase.auth.signInWithPassword({ email, password });
  if (error) throw error;
  form.reset();
}, part(document, "#problem"));

pressed(part(document, "#send-link"), async () => {
  const email = part(document, "#email");
  if (!email.reportValidity()) return;
  // An address that has no account is told nothing else, and gets none.
  const { error } = await supabase.auth.signInWithOtp({
    email: email.value,
    options: { shouldCreateUser: false, emailRedirectTo: location.origin + location.pathname },
  });
  if (error && error.code !== "otp_disabled") throw error;
  part(document, "#link-sent").textContent = words.linkSent;
}, part(document, "#problem"));

pressed(part(document, "#sign-out"), () => supabase.auth.signOut({ scope: "local" }), part(document, "#problem"));

submitted(part(document, "#add"), async (form) => {
  await numbers.call("wa_create_instance", { p_name: form.elements.namedItem("name").value });
  form.reset();
}, part(document, "#problem"));

function show(signedIn) {
  part(document, "#sign-in").hidden = signedIn;
  part(document, "#numbers").hidden = !signedIn;
  part(document, "#sign-out").hidden = !signedIn;
  part(document, "#problem").textContent = "";
  if (signedIn && !numbers) {
    numbers = openNumbers(supabase, heard, (problem) => part(document, "#news").textContent = errorOf(words, problem));
  } else if (!signedIn) {
    numbers?.close();
    numbers = null;
    cards.clear();
    part(document, "#list").replaceChildren();
  }
}

function heard({ rows, live }) {
  part(document, "#news").textContent = (live ? words.live : words.polling) + (rows.length ? "" : ` · ${words.none}`);
  for (const [id, card] of cards) {
    if (!rows.some((row) => row.id === id)) {
      card.element.remove();
      cards.delete(id);
    }
  }
  for (const row of rows) {
    const card = cards.get(row.id) ?? newCard(row.id);
    if (card.row?.qr_code !== row.qr_code) card.since = Date.now();
    card.row = row;
    fill(card.element, row);
  }
  countDown();
}

function newCard(id) {
  const element = part(document, "#card").content.cloneNode(true).firstElementChild;
  const problem = part(element, ".problem");
  const call = (name, more = {}) => numbers.call(name, { p_id: id, ...more });
  say(element);
  element.dataset.id = id;
  pressed(part(element, ".stop"), () => call("wa_stop_instance"), problem);
  pressed(part(element, ".start"), () => call("wa_start_instance"), problem);
  pressed(part(element, ".by-qr"), () => call("wa_pair_by_qr"), problem);
  pressed(part(element, ".remove"), async () => {
    if (!confirm(words.removeSure)) return;
    await call("wa_delete_instance");
    part(document, "#new-name").focus();
  }, problem);
  submitted(part(element, ".pair"), (form) =>
    call("wa_pair_by_code", { p_phone: form.elements.namedItem("phone").value }), problem);
  submitted(part(element, ".rename"), async (form) => {
    await call("wa_rename_instance", { p_name: form.elements.namedItem("name").value });
    form.reset();
  }, problem);
  part(document, "#list").append(element);
  const card = { element, row: null, since: Date.now() };
  cards.set(id, card);
  return card;
}

function fill(element, row) {
  const { look, state, why } = stateOf(words, row, language);
  const name = row.name ?? row.id;
  element.dataset.look = look;
  write(part(element, "h2"), name);
  write(part(element, ".badge"), state);
  write(part(element, ".phone"), phoneOf(row));
  write(part(element, ".why"), why);
  part(element, ".stop").hidden = !row.enabled;
  part(element, ".start").hidden = row.enabled;
  for (const button of element.querySelectorAll(".stop, .start, .remove")) {
    button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  }
  const picture = qrPicture(row), image = part(element, "img");
  part(element, ".scan").hidden = picture === null;
  image.alt = `${words.scanAlt}: ${name}`;
  if (picture === null) image.removeAttribute("src");
  else if (image.getAttribute("src") !== picture) image.src = picture;
  part(element, ".pair").hidden = !row.enabled || row.status === "CONNECTED" || row.jid !== null;
  part(element, ".by-qr").hidden = row.pair_phone === null;
  write(part(element, ".code"), row.pairing_code ?? "");
  write(part(element, ".code-how"), row.pairing_code ? words.codeHow : row.pair_phone ? words.codeWait : "");
}

/** Each second: for how long the codes are still good. */
function countDown() {
  for (const { element, row, since } of cards.values()) {
    const left = secondsTo(since + QR_LIFE), works = Date.parse(row.pairing_expires_at ?? "");
    part(element, "img").hidden = left === 0;
    write(part(element, ".countdown"), left ? words.nextCode.replace("{n}", String(left)) : words.codeOver);
    write(part(element, ".code-left"), row.pairing_code && works ? words.codeLeft.replace("{n}", String(secondsTo(works))) : "");
  }
}

/** Text that is the same is left alone: a screen reader would say it again. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function say(root) {
  for (const element of root.querySelectorAll("[data-say]")) element.textContent = words[element.dataset.say];
}

function part(root, selector) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`connect.html has no ${selector}`);
  return found;
}

function submitted(form, act, problem) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void once(form.querySelector("[type=submit]"), () => act(form), problem);
  });
}

function pressed(button, act, problem) {
  button.addEventListener("click", () => void once(button, act, problem));
}

/** Once at a time; what goes wrong is said beside it. */
async function once(button, act, problem) {
  if (button.busy) return;
  button.busy = true;
  button.setAttribute("aria-busy", "true");
  problem.textContent = "";
  try {
    await act();
  } catch (error) {
    problem.textContent = errorOf(words, error);
  } finally {
    button.busy = false;
    button.removeAttribute("aria-busy");
  }
}
