// What htmx cannot do: hear of changes while somebody looks, keep what the reader has done, and say what a form came to.
// The server makes all HTML, escaped; htmx and idiomorph put it in its place.
"use strict";

const SAYS = { ...document.body.dataset };
const byId = (id) => document.getElementById(id);
const touched = (field) => field.value !== field.defaultValue || field === document.activeElement;

Object.assign(Idiomorph.defaults.callbacks, {
  beforeAttributeUpdated: (name, element) => !(
    (name === "open" && element.matches("details") && element.firstChild) || // a new one is as the server says
    (name === "value" && element.matches("textarea, input:not([type=hidden])") && touched(element)) ||
    name === "selected"
  ),
  beforeNodeMorphed: (old, fresh) => { // for screen readers
    if (old.dataset?.say && fresh.dataset.say !== old.dataset.say) byId("say").textContent = fresh.dataset.say;
  },
});

// The messages stay at their end, unless one has scrolled up to read.
const messages = byId("messages");
let atEnd = true;
const toEnd = () => { if (atEnd) messages.scrollTop = messages.scrollHeight; };
messages.addEventListener("scroll", () => {
  atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
});
new ResizeObserver(toEnd).observe(messages);
for (const event of ["load", "loadedmetadata"]) messages.addEventListener(event, toEnd, true); // files make room late

function take(id, html) {
  const focused = document.activeElement;
  const home = focused.closest("article")?.id;
  const box = byId(id);
  htmx.swap(box, html, { swapStyle: "morph:innerHTML", swapDelay: 0, settleDelay: 0 }, { contextElement: box });
  if (document.activeElement !== focused) (byId(focused.id) ?? byId(`${home}-name`))?.focus({ preventScroll: true });
}

// Not htmx's extension for this: a page that nobody looks at gives its connection back, of which a browser has few.
let stream = null;

function listen() {
  stream?.close();
  if (document.hidden) return;
  stream = new EventSource(byId("cards").dataset.events);
  stream.onmessage = (message) => {
    const { events, html } = JSON.parse(message.data);
    byId("cards").dataset.events = events;
    for (const [id, text] of Object.entries(html)) take(id, text);
    toEnd();
    tell("live", SAYS.live, true);
    document.body.classList.remove("stale");
    if (byId("notice").textContent === SAYS.lost) notify("", true);
  };
  stream.onerror = () => {
    const over = stream.readyState === EventSource.CLOSED;
    document.body.classList.add("stale");
    if (!over) notify(SAYS.lost, false);
    tell("live", over ? SAYS.over : SAYS.trying, false);
  };
}

document.addEventListener("visibilitychange", listen);
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "cards") listen(); // narrowed to others
});

function tell(id, text, good) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
  byId(id).className = good ? "good" : "bad";
}

let fading = 0;

function notify(text, good) {
  tell("notice", text, good);
  clearTimeout(fading);
  if (good) fading = setTimeout(tell, 6000, "notice", "", true); // a problem stays until the next action
}

// What was typed a moment ago the server does not know yet: the links lead to a page that is narrowed to it.
document.addEventListener("click", ({ target }) => {
  const link = target.closest("a[href^='/']"), filter = byId("filter");
  if (!link || !filter) return;
  const to = new URL(link.href);
  for (const name of ["q", "show"]) {
    const said = filter.elements.namedItem(name).value;
    if (said) to.searchParams.set(name, said);
    else to.searchParams.delete(name);
  }
  link.href = to.pathname + to.search + to.hash;
}, true);

const dismiss = byId("dismiss");
let cameFrom = null; // what had the focus before it
dismiss.hidden = false;
dismiss.addEventListener("focus", (event) => { cameFrom = event.relatedTarget; });
dismiss.addEventListener("click", clear);

function clear() {
  if (document.activeElement === dismiss) (cameFrom?.isConnected ? cameFrom : byId("conversation")).focus({ preventScroll: true });
  notify("", true);
}

for (const event of ["htmx:sendError", "htmx:responseError"]) document.addEventListener(event, () => notify(SAYS.lost, false));

// An update may have taken the form away before its answer comes. What it would inherit from the body is lost then.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!detail.shouldSwap || detail.requestConfig.elt.isConnected) return;
  detail.shouldSwap = false;
  const { target, serverResponse } = detail;
  htmx.swap(target, serverResponse, { swapStyle: "morph:outerHTML", swapDelay: 0, settleDelay: 0 }, { contextElement: target });
});

document.addEventListener("htmx:beforeRequest", ({ detail: { elt, xhr } }) => {
  xhr.sent = [...elt.querySelectorAll("textarea, #new-instance")].map((field) => [field.id, field.value]);
});
document.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr, requestConfig } }) => {
  if (xhr.status !== 200 || requestConfig.verb !== "post") return;
  notify(byId("notice").textContent, true);
  // By id: an update may have put another field in the place of the one that was sent.
  for (const [id, value] of xhr.sent) if (byId(id)?.value === value) byId(id).value = "";
  for (const choice of elt.querySelectorAll("select")) choice.selectedIndex = 0;
  const part = elt.closest(".answers");
  if (part?.contains(document.activeElement)) part.querySelector("summary").focus({ preventScroll: true });
  part?.removeAttribute("open");
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches("textarea")) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

listen();
