// What Streamlit's front end leaves to its host page: history, keys, print. Loaded by the document before Streamlit's
// own scripts (app/routes/document.py).

// History: what one click, key or link leads to is one entry, however many addresses the page writes on the way. Streamlit
// pushes an entry each time that a run changes the address; a page that completes its address, a redirect and a map that
// plays by itself would each cost a press of Back.
(() => {
  const push = history.pushState.bind(history);
  let acted = false;
  const act = () => { acted = true; };
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, act, { capture: true });
  addEventListener("popstate", () => { acted = false; }, { capture: true });
  history.pushState = (data, title, url) => {
    const next = new URL(url, location.href);
    const before = new URLSearchParams(location.search);
    const after = new URLSearchParams(next.search);
    const completes = next.pathname === location.pathname && [...before].every(([name, value]) => after.get(name) === value);
    if (acted && !completes) push(data, title, url);
    else history.replaceState(data, title, url);
    acted = false;
  };
})();

// Width: below 640 px Streamlit stacks its columns, which the server has to know before it draws a map or a table.
document.cookie = `headroom_narrow=${innerWidth < 640 ? 1 : 0}; path=/; SameSite=Lax`;

// Keys: "/" goes to the search, "?" opens the sheet of keys; neither while somebody types.
addEventListener("keydown", (event) => {
  const target = event.target;
  const typing = target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const wanted = { "/": ".st-key-search input", "?": ".st-key-share button" }[event.key];
  const found = wanted && document.querySelector(wanted);
  if (!found) return;
  event.preventDefault();
  found.focus();
  if (event.key === "?") found.click();
});

// Print: pages keep the width that they have on the screen, so that a chart prints as it is drawn, and are scaled to the
// sheet. 1,060 px are what A4 across leaves between margins of 8 mm.
const SHEET_PX = 1060;
addEventListener("beforeprint", () => {
  document.documentElement.style.setProperty("--print-scale", String(Math.min(1, SHEET_PX / innerWidth)));
});

// Navigation: on a telephone it lies over the page, and would stay there over the page that was chosen.
addEventListener("click", (event) => {
  const link = event.target instanceof Element && event.target.closest('[data-testid="stSidebarNavLink"]');
  if (link && innerWidth < 640) setTimeout(() => document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click(), 0);
});

addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (!button) return;
  if (button.closest(".st-key-print")) print();
  // Who has read the line for first visits is not shown it again for a year.
  if (button.closest(".st-key-welcome-dismiss")) document.cookie = "headroom_welcome=read; max-age=31536000; path=/; SameSite=Lax";
}, { capture: true });
