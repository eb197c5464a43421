"use strict";
/* What makes pages livelier; every page also works without it.

   data-live            the element is fetched anew (by its id, from this very page) when the service says that
                        something changed
   data-preview="URL"   on a form: as one types, its fields go to URL, and the answer fills [data-preview-here]
   data-copy="ID"       on a button: copies the text of the element with that id
   data-insert="TEXT"   on a button: puts TEXT into the field with the id data-into, where one was typing
   data-chooses         on a list: of the parts of its form with data-shown-for, only the one for its choice is shown */

const REFRESH_PAUSE = 150;
const TYPING_PAUSE = 250;

/* -- live parts ------------------------------------------------------------------------------------------------ */

const live = () => document.querySelectorAll("[data-live]");
let refreshing = false;
let again = false;

/* Somebody who is reading inside a part, or types there, is not disturbed by a change of another part. */
function replaced(old, fresh) {
  if (old.innerHTML === fresh.innerHTML) return;
  const open = new Set([...old.querySelectorAll("details[open][id]")].map((each) => each.id));
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  for (const details of fresh.querySelectorAll("details[id]")) {
    if (open.has(details.id)) details.open = true;
  }
  old.replaceWith(document.adoptNode(fresh));
  if (focused) document.getElementById(focused)?.focus();
}

async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) {
      location.reload(); /* to the page to sign in: the session is over */
    } else if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of live()) {
        const fresh = page.getElementById(old.id);
        if (fresh) replaced(old, fresh);
      }
    }
  } catch {
    /* The service restarts, or the network is gone: the next change, or the next connection, brings it. */
  }
  setTimeout(() => {
    refreshing = false;
    if (again) {
      again = false;
      refresh();
    }
  }, REFRESH_PAUSE);
}

/* A browser has six connections to a host: a page that nobody sees leaves its own to the others. */
if (live().length > 0) {
  let changes = null;
  const listen = () => {
    changes?.close();
    if (document.visibilityState === "hidden") return;
    changes = new EventSource("/live");
    changes.addEventListener("message", refresh);
    changes.addEventListener("open", refresh); /* what changed while nobody listened: since the page was made, or lost it */
  };
  listen();
  document.addEventListener("visibilitychange", listen);
  window.addEventListener("pagehide", () => changes?.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

/* -- previews while typing ------------------------------------------------------------------------------------- */

for (const form of document.querySelectorAll("form[data-preview]")) {
  let timer = 0;
  let latest = 0;
  const show = async () => {
    const number = ++latest;
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const here = document.querySelector("[data-preview-here]");
      if (answer.ok && !answer.redirected && number === latest && here) {
        here.replaceChildren(...[...page.body.childNodes].map((node) => document.adoptNode(node)));
      }
    } catch {
      /* The next key brings it. */
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, TYPING_PAUSE);
  });
  show();
}

/* -- small things ---------------------------------------------------------------------------------------------- */

/* Browsers give the clipboard only to https and to this machine: elsewhere the text is shown and selected. */
async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  if (!navigator.clipboard) {
    source.closest("details")?.setAttribute("open", "");
    getSelection().selectAllChildren(source);
    return;
  }
  await navigator.clipboard.writeText(source.textContent);
  button.dataset.copied = "true";
  setTimeout(() => delete button.dataset.copied, 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.copy) copy(button);
  if (button.dataset.insert) {
    const field = document.getElementById(button.dataset.into);
    field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
});

for (const list of document.querySelectorAll("select[data-chooses]")) {
  const show = () => {
    for (const part of list.form.querySelectorAll("[data-shown-for]")) part.hidden = part.dataset.shownFor !== list.value;
  };
  list.addEventListener("change", show);
  show();
}

/* Buttons that only do something here are of no use without a script: the style sheet hides them until now. */
document.documentElement.classList.add("scripted");
