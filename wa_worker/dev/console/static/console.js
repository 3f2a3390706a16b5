// Keeps the page up to date and sends its forms, without ever reloading it. The server makes all HTML, escaped; here it
// only takes the place of what it replaces, so that focus, a half-typed message and unfolded text stay.
"use strict";

const byId = (id) => document.getElementById(id);
const source = new WeakMap(); // what the server said of an element, whatever has been done to it since
const boxes = ["health", "cards", "chats", "head", "messages", "composer"].map(byId);

for (const box of boxes) for (const child of box.children) source.set(child, child.outerHTML);

// The messages stay at their end, unless one has scrolled up to read.
const messages = byId("messages");
let atEnd = true;
const toEnd = () => { if (atEnd) messages.scrollTop = messages.scrollHeight; };
messages.addEventListener("scroll", () => {
  atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
});
new ResizeObserver(toEnd).observe(messages);
for (const event of ["load", "loadedmetadata"]) messages.addEventListener(event, toEnd, true); // files make room late

// What has the file already, and plays it perhaps, stays; so does what was unfolded.
function keep(old, fresh) {
  for (const file of fresh.querySelectorAll("img, audio, video")) {
    const same = (each) => each.getAttribute("src") === file.getAttribute("src");
    const there = [...old.querySelectorAll(file.localName)].find(same);
    if (there) file.replaceWith(there);
  }
  for (const part of fresh.querySelectorAll("details")) part.open = Boolean(old.querySelector(`.${part.className}[open]`));
}

function take(box, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  const home = focused?.closest("article")?.id;
  const typed = [...box.querySelectorAll("textarea, select, input:not([type=hidden])")].map((field) => [field.id, field.value]);
  const before = new Map([...box.children].map((child) => [child.id, child]));
  const now = [...template.content.children].map((fresh) => {
    const old = before.get(fresh.id);
    if (old && source.get(old) === fresh.outerHTML) return old;
    source.set(fresh, fresh.outerHTML);
    if (old) keep(old, fresh);
    if (fresh.dataset.say !== old?.dataset.say) byId("say").textContent = fresh.dataset.say; // for screen readers
    return fresh;
  });
  const staying = new Set(now);
  for (const child of before.values()) if (!staying.has(child)) child.remove();
  now.forEach((child, at) => {
    if (box.children[at] !== child) box.insertBefore(child, box.children[at] ?? null);
  });
  for (const [id, value] of typed) if (id && byId(id)) byId(id).value = value;
  if (focused && document.activeElement !== focused) {
    (byId(focused.id) ?? byId(`${home}-name`))?.focus({ preventScroll: true });
  }
  toEnd();
}

let stream = null;

function listen() {
  stream = new EventSource(document.body.dataset.events);
  stream.onmessage = (message) => {
    const { events, html } = JSON.parse(message.data);
    document.body.dataset.events = events;
    for (const [id, text] of Object.entries(html)) take(byId(id), text);
    tell("live", "Live", true);
    document.body.classList.remove("stale");
    if (byId("notice").textContent === LOST) notify("", true);
  };
  stream.onerror = () => {
    const over = stream.readyState === EventSource.CLOSED;
    document.body.classList.add("stale");
    if (!over) notify(LOST, false);
    tell("live", over ? "Not live: close other pages of the console and reload" : "Not live, trying again", false);
  };
}

// A browser has few connections to one host: a page that nobody looks at gives its own back.
document.addEventListener("visibilitychange", () => {
  stream?.close();
  if (!document.hidden) listen();
});

function tell(id, text, good) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
  byId(id).className = good ? "good" : "bad";
}

const LOST = "The dev console does not answer: is wa-worker dev still running?";
let fading = 0;

function notify(text, good) {
  tell("notice", text, good);
  clearTimeout(fading);
  if (good) fading = setTimeout(tell, 6000, "notice", "", true); // a problem stays until the next action
}

const dismiss = byId("dismiss");
let cameFrom = null; // what had the focus before it
dismiss.hidden = false;
dismiss.addEventListener("focus", (event) => { cameFrom = event.relatedTarget; });
dismiss.addEventListener("click", clear);

function clear() {
  if (document.activeElement === dismiss) (cameFrom?.isConnected ? cameFrom : byId("conversation")).focus({ preventScroll: true });
  notify("", true);
}

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  if (form.dataset.busy) return;
  form.dataset.busy = "yes";
  const body = new URLSearchParams(new FormData(form, event.submitter));
  const action = event.submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  const sent = [...form.querySelectorAll("textarea, #new-instance")].map((field) => [field.id, field.value]);
  try {
    const answer = await fetch(action, { method: "POST", body, headers: { Accept: "application/json" } });
    const { text, go } = await answer.json();
    notify(text, answer.ok);
    if (answer.ok && go) location.assign(go);
    if (answer.ok) form.closest("details")?.removeAttribute("open");
    // By id: an update may have put another field in the place of the one that was sent.
    for (const [id, value] of sent) if (answer.ok && byId(id)?.value === value) byId(id).value = "";
    if (answer.ok) for (const choice of form.querySelectorAll("select")) choice.selectedIndex = 0;
  } catch {
    notify(LOST, false);
  }
  delete form.dataset.busy;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches("textarea")) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

listen();
