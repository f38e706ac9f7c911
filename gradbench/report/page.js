// Filters, presets and open parts, all of which live in the address. Without this script the page has neither
// filters nor presets: it lists every claim and section, and a reader opens the folds.
const form = document.getElementById("show");
const boxes = [...document.querySelectorAll("#show [data-facet]")];
const placed = [...document.querySelectorAll("[data-size]")];
const heads = [...document.querySelectorAll("[data-columns]")];
const claims = [...document.querySelectorAll(".claim")];
const comparisons = [...document.querySelectorAll(".comparison")];
const sections = [...document.querySelectorAll("section[data-topic]")];
const groups = [...document.querySelectorAll("[data-group]")];
const presets = [...document.querySelectorAll("[data-preset]")];
const words = document.getElementById("claim-words");
const copy = document.getElementById("copy");
const COPY = copy?.textContent;
const parts = [...document.querySelectorAll("main details")].filter(each => each.className !== "filters");
const EVERYTHING = "everything";
let preset = EVERYTHING;

// A name for a part that may be open: its own id, or the id around it and its place there.
function nameOf(part) {
  const around = part.closest("[id]");
  if (around === part) return part.id;
  return `${around.id}.${[...around.querySelectorAll("details")].indexOf(part)}`;
}
const names = new Map(parts.map(part => [nameOf(part), part]));
const openedFirst = new Set(parts.filter(part => part.open));

function chosen() {
  const found = {};
  for (const box of boxes) {
    found[box.dataset.facet] ??= new Set();
    if (box.checked) found[box.dataset.facet].add(box.value);
  }
  return found;
}

function show() {
  const picked = chosen();
  for (const each of placed) {
    each.hidden = !Object.entries(picked).every(([facet, values]) =>
      !(facet in each.dataset) || each.dataset[facet].split(" ").some(value => values.has(value)));
  }
  for (const head of heads) {
    const columns = head.closest("thead").querySelectorAll(`[data-column="${head.dataset.columns}"]:not([hidden])`);
    head.hidden = columns.length === 0;
    head.colSpan = Math.max(1, columns.length);
  }
  const topics = presets.find(each => each.dataset.preset === preset)?.dataset.topics.split(" ").filter(Boolean) ?? [];
  // An extension may leave out the topic: then it belongs to every preset.
  const outside = each => topics.length > 0 && each.dataset.topic !== ""
    && !each.dataset.topic.split(" ").some(topic => topics.includes(topic));
  const wanted = (words?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  for (const claim of claims) {
    const cases = [...claim.querySelectorAll("li[data-size]")];
    const text = claim.textContent.toLowerCase();
    claim.hidden = outside(claim) || !wanted.every(word => text.includes(word))
      || "verdict" in claim.dataset && picked.verdict !== undefined && !picked.verdict.has(claim.dataset.verdict)
      || cases.length > 0 && cases.every(each => each.hidden);
  }
  // A heading without a claim below it says nothing.
  for (const head of document.querySelectorAll(".claims .head")) {
    let following = head.nextElementSibling;
    while (following?.hidden) following = following.nextElementSibling;
    head.hidden = !following || following.classList.contains("head");
  }
  for (const group of groups) {
    const own = [...group.querySelectorAll("[data-size]")];
    if (group.id !== "found") group.hidden = own.length > 0 && own.every(each => each.hidden);
  }
  for (const section of sections) section.hidden ||= outside(section);
  for (const each of presets) {
    if (each.dataset.preset === preset) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
  if (form) tell();
}

function tell() {
  const output = document.getElementById("shown");
  const left = [[claims.filter(claim => "verdict" in claim.dataset), "claims"], [comparisons, "comparisons"]]
    .map(([all, what]) => [all.filter(each => !each.closest("[hidden]")).length, all.length, what])
    .filter(([seen, all]) => seen < all);
  const text = left.map(([seen, all, what]) => `${seen} of ${all} ${what}`).join(" and ") + (left.length ? " shown" : "");
  // A screen reader says what changes.
  if (output.textContent !== text) output.textContent = text;
  output.classList.toggle("some", text !== "");
  form.querySelector("[type=reset]").hidden = boxes.every(box => box.checked) && !words.value && preset === EVERYTHING;
}

// The view as the part of the address after #.
function address() {
  const state = new URLSearchParams();
  if (preset !== EVERYTHING) state.set("for", preset);
  for (const facet of new Set(boxes.map(box => box.dataset.facet))) {
    const own = boxes.filter(box => box.dataset.facet === facet);
    if (own.some(box => !box.checked)) state.set(facet, own.filter(box => box.checked).map(box => box.value).join(","));
  }
  if (words?.value) state.set("words", words.value);
  const changed = [...names].filter(([, part]) => part.open !== openedFirst.has(part)).map(([name]) => name);
  if (changed.length) state.set("open", changed.join(","));
  return state.toString().replaceAll("%2C", ",");
}

function everything() {
  for (const box of boxes) box.checked = true;
  if (words) words.value = "";
  preset = EVERYTHING;
  show();
}

function keep() {
  const view = address();
  history.replaceState(null, "", view ? `#${view}` : location.pathname + location.search);
  // The reader copied another address than this one.
  if (copy) copy.textContent = COPY;
}

// A target that a preset or a filter hides would be a link that does nothing: then the page shows everything.
function reveal(target) {
  if (target?.closest("[hidden]")) everything();
  for (let part = target?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  if (target?.matches(".claim")) target.firstElementChild.open = true;
  target?.scrollIntoView();
}

// An address of ours holds an equals sign; the bare address is the first view; any other leads to an element.
function restore() {
  // This decodes as decodeURIComponent does, and raises nothing.
  const anchor = new URLSearchParams(`id=${location.hash.slice(1)}`).get("id");
  if (location.hash && !location.hash.includes("=")) {
    reveal(document.getElementById(anchor));
    show();
    return;
  }
  const state = new URLSearchParams(location.hash.slice(1));
  preset = presets.some(each => each.dataset.preset === state.get("for")) ? state.get("for") : EVERYTHING;
  for (const box of boxes) {
    // A value that the page does not know, as of another run, chooses nothing.
    const values = (state.get(box.dataset.facet) ?? "").split(",");
    const known = boxes.filter(each => each.dataset.facet === box.dataset.facet && values.includes(each.value));
    box.checked = known.length === 0 || known.includes(box);
  }
  if (words) words.value = state.get("words") ?? "";
  const changed = new Set((state.get("open") ?? "").split(",").filter(Boolean));
  for (const [name, part] of names) part.open = changed.has(name) !== openedFirst.has(part);
  show();
  const first = [...changed].map(name => names.get(name)).find(part => part?.open);
  first?.scrollIntoView();
}

if (form) {
  document.querySelector(".filters").hidden = false;
  document.querySelector(".presets").hidden = false;
  form.addEventListener("change", () => { show(); keep(); });
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", event => {
    event.preventDefault();
    everything();
    keep();
  });
  words.addEventListener("input", () => { show(); keep(); });
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(location.href);
      copy.textContent = "Copied";
    });
  }
}
// A link with such a key opens in another tab or window: that is the browser's.
const elsewhere = event => event.ctrlKey || event.metaKey || event.shiftKey;
for (const each of presets) {
  each.addEventListener("click", event => {
    if (elsewhere(event)) return;
    event.preventDefault();
    preset = each.dataset.preset;
    show();
    keep();
    // The list that changes may lie below the window.
    document.getElementById("found").scrollIntoView();
  });
}
let printing = false;
for (const part of parts) part.addEventListener("toggle", () => { if (!printing) keep(); });
// A link within the page leads to its target, with the focus, and leaves the view in the address.
document.addEventListener("click", event => {
  if (elsewhere(event)) return;
  const link = event.target.closest("a[href^='#']");
  const target = link && !link.dataset.preset && document.getElementById(link.getAttribute("href").slice(1));
  if (!target) return;
  event.preventDefault();
  reveal(target);
  // Without it, most elements take no focus.
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
  keep();
});
addEventListener("hashchange", restore);
restore();

// Paper cannot be opened: a reader prints what is selected, with its figures.
let opened = [];
addEventListener("beforeprint", () => {
  printing = true;
  opened = parts.filter(part => !part.open && !part.classList.contains("inner"));
  for (const each of opened) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of opened) each.open = false;
  setTimeout(() => { printing = false; });
});
