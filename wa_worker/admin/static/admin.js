// Copies the support report. Without it there is a link to the same text.
"use strict";
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const answer = await fetch(button.dataset.copy, { credentials: "same-origin", redirect: "error" });
    const text = await answer.text();
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
    } else { // plain http: browsers have no clipboard there
      const area = document.createElement("textarea");
      area.value = text;
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = button.dataset.copied;
  });
}
