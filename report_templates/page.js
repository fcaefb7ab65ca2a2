// What the page does beyond being read: theme, contents, tables, traces of numbers, large figures. Its words are in the
// page's <template>; without this script all of the text is there and the traces are the numbers' titles.
"use strict";

const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;

document.addEventListener("DOMContentLoaded", () => {
  const parts = document.getElementById("parts").content;
  const part = (name) => parts.querySelector(`.${name}`).cloneNode(true);

  switchTheme(part("theme"));
  followScroll(document.querySelector(".contents"));
  document.querySelectorAll(".table").forEach((region) => arrangeTable(region, part("filter")));
  traceNumbers(part("trace"), (row) => part(`trace-${row}`).textContent);
  enlargeFigures(part("figure"), () => part("enlarge"));
});

function switchTheme(button) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* Kept for this visit only. */ }
    tell();
  });
  system.addEventListener("change", tell);
  tell();
  document.querySelector("header").prepend(button);
}

// Beside the text the contents are open; above it they would push it away.
function followScroll(contents) {
  const wide = matchMedia("(min-width: 84rem)");
  const fold = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();
  const links = [...contents.querySelectorAll("a")];
  const headings = links.map((link) => document.getElementById(link.hash.slice(1)));
  let current = null;
  const mark = () => {
    const line = innerHeight / 4;
    const atEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top <= line).length;
    const link = links[(atEnd ? headings.length : passed) - 1] ?? null;
    if (link === current) return;
    current?.removeAttribute("aria-current");
    link?.setAttribute("aria-current", "location");
    current = link;
    if (wide.matches && link) {
      const { offsetTop, offsetHeight } = link;
      if (offsetTop < contents.scrollTop || offsetTop + offsetHeight > contents.scrollTop + contents.clientHeight) {
        contents.scrollTop = offsetTop - contents.clientHeight / 2;
      }
    }
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  mark();
}

// Long tables get sortable columns and a filter. A row whose first cell is empty goes on with the row above it: it is
// given that row's name while the rows are out of their order.
function arrangeTable(region, bar) {
  const body = region.querySelector("tbody");
  const rows = [...(body?.rows ?? [])];
  if (rows.length <= 8 || body.querySelector("[rowspan], [colspan]")) return;
  let name = "";
  const names = rows.map((row) => (name = row.cells[0].textContent.trim() || name));
  const continued = rows.filter((row) => !row.cells[0].textContent.trim());
  const nameRows = (named) => continued.forEach((row) => {
    row.cells[0].textContent = named ? names[rows.indexOf(row)] : "";
  });
  const texts = rows.map((row, index) => `${names[index]} ${row.textContent}`.toLowerCase());

  const value = (row, column) => {
    if (column === 0) return names[rows.indexOf(row)];
    const cell = row.cells[column];
    const shown = cell.querySelector(".number")?.textContent ?? cell.textContent;
    const text = shown.trim().replace("\u2212", "-").replaceAll(",", "");
    return /^[-+]?[\d.]/.test(text) ? parseFloat(text) : text;
  };
  const order = (a, b) => {
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b, document.documentElement.lang);
    return typeof a === "number" ? -1 : 1;
  };
  const heads = [...region.querySelectorAll("thead th")].filter((head) => head.textContent.trim());
  const sort = (head, direction) => {
    heads.forEach((other) => other.setAttribute("aria-sort", other === head ? direction : "none"));
    const column = head.cellIndex;
    const sign = direction === "descending" ? -1 : 1;
    const sorted = direction === "none" ? rows : [...rows].sort((a, b) => sign * order(value(a, column), value(b, column)));
    body.append(...sorted);
    arrange();
  };
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head, next[head.getAttribute("aria-sort")]));
    head.append(button);
    head.setAttribute("aria-sort", "none");
  }

  const input = bar.querySelector("input");
  const [shown, all] = bar.querySelectorAll(".count b");
  const arrange = () => {
    const wanted = input.value.toLowerCase().split(/\s+/);
    rows.forEach((row, index) => { row.hidden = !wanted.every((word) => texts[index].includes(word)); });
    shown.textContent = rows.filter((row) => !row.hidden).length;
    const arranged = input.value.trim() !== "" || heads.some((head) => head.getAttribute("aria-sort") !== "none");
    region.classList.toggle("arranged", arranged);
    nameRows(arranged);
    makeOneStop(region.querySelectorAll(".number[tabindex]"));
  };
  all.textContent = shown.textContent = rows.length;
  input.addEventListener("input", arrange);
  region.prepend(bar);
}

function makeOneStop(numbers, stop = [...numbers].find((number) => !number.closest("[hidden]"))) {
  numbers.forEach((number) => { number.tabIndex = number === stop ? 0 : -1; });
}

// Hovering over a number, or moving to it, shows its trace. The numbers of a paragraph or table are one stop of the tab
// key, and the arrow keys walk among them.
function traceNumbers(tip, word) {
  tip.id = "trace";
  tip.hidden = true;
  document.body.append(tip);
  const block = (number) => number.closest("table, p, li, figcaption") ?? number.parentElement;
  const numbers = [...document.querySelectorAll(".number[title]")];
  const traces = new Map(numbers.map((number) => [number, number.title]));
  const started = new Set();
  for (const number of numbers) {
    number.removeAttribute("title");
    number.tabIndex = started.has(block(number)) ? -1 : 0;
    started.add(block(number));
  }

  let of = null;
  const row = (name, text) => {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = word(name);
    description.textContent = text;
    return [term, description];
  };
  const show = (number) => {
    if (number === of) return;
    hide();
    of = number;
    const [value, file, ...key] = traces.get(number).split(" \u00b7 ");
    const entries = [...row("value", value), ...row("file", file), ...row("key", key.join(" \u00b7 "))];
    const run = /^\w+\/runs\/([^/;]+)\/([^/;]+)\/seed-(\d+)\/[^;]*$/.exec(file);
    if (run) entries.push(...row("protocol", run[1]), ...row("experiment", run[2]), ...row("seed", run[3]));
    tip.firstElementChild.replaceChildren(...entries);
    tip.hidden = false;
    number.setAttribute("aria-describedby", tip.id);
    place();
  };
  const place = () => {
    const [at, size] = [of.getBoundingClientRect(), tip.getBoundingClientRect()];
    const above = at.top - size.height - 4;
    tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
    tip.style.top = `${above > 0 ? above : at.bottom + 4}px`;
  };
  const hide = () => {
    of?.removeAttribute("aria-describedby");
    of = null;
    tip.hidden = true;
  };
  let leaving = 0;
  document.addEventListener("pointerover", (event) => {
    const number = event.target.closest(".number");
    if (traces.has(number)) show(number);
    if (traces.has(number) || tip.contains(event.target)) clearTimeout(leaving);
    else if (of && of !== document.activeElement) {
      clearTimeout(leaving);
      leaving = setTimeout(hide, 200);
    }
  });
  document.addEventListener("focusin", (event) => (traces.has(event.target) ? show(event.target) : hide()));
  document.addEventListener("focusout", hide);
  // Moving to a number may scroll it into view.
  const follow = () => (of && of === document.activeElement ? place() : hide());
  addEventListener("scroll", follow, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const number = event.target;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !traces.has(number)) return;
    const near = [...block(number).querySelectorAll(".number[tabindex]")].filter((other) => !other.closest("[hidden]"));
    const other = near[near.indexOf(number) + step];
    event.preventDefault();
    if (!other) return;
    makeOneStop(near, other);
    other.focus();
  });
}

// The drawing itself moves into the dialog and back: a copy would have the same ids.
function enlargeFigures(dialog, makeButton) {
  document.body.append(dialog);
  const [place, words] = [dialog.querySelector("div"), dialog.querySelector("p")];
  const room = document.createElement("div");
  let drawing = null;
  const open = (svg) => {
    const { height } = svg.getBoundingClientRect();
    room.style.height = `${height}px`;
    drawing = svg;
    svg.replaceWith(room);
    place.append(svg);
    dialog.setAttribute("aria-label", svg.getAttribute("aria-label"));
    words.textContent = room.closest("figure").querySelector("figcaption").textContent;
    dialog.showModal();
  };
  dialog.addEventListener("close", () => room.replaceWith(drawing));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest(".close")) dialog.close();
  });
  for (const panel of document.querySelectorAll("figure .panel")) {
    const svg = panel.querySelector("svg");
    if (!svg) continue;
    const button = makeButton();
    button.setAttribute("aria-label", `${button.textContent}: ${svg.getAttribute("aria-label")}`);
    button.addEventListener("click", () => open(svg));
    svg.addEventListener("click", () => { if (!dialog.open) { button.focus(); open(svg); } });
    panel.append(button);
  }
}
