// What is shown. Without this script that is everything, and there is nothing to choose with.
const form = document.getElementById("show");
const facets = [...form.querySelectorAll("[data-facet]")];
const placed = [...document.querySelectorAll("[data-size]")];
const heads = [...document.querySelectorAll("[data-columns]")];
const groups = [...document.querySelectorAll("[data-group]")];
const comparisons = [...document.querySelectorAll(".comparison")];
const claims = [...document.querySelectorAll(".claim")];
const unmeasured = document.querySelector(".unmeasured");
const judged = claims.filter(claim => !unmeasured?.contains(claim));
const verdicts = [...document.querySelectorAll("[type=checkbox][data-verdict]")];
// A run of which no claim speaks has none.
const words = document.getElementById("claim-words");
// A run of which nothing could be measured has no findings.
const whole = document.getElementById("whole");

function tell(output, shown, of, what) {
  const text = `${shown} of ${of} ${what} shown`;
  // A screen reader says what changes.
  if (output.textContent !== text) output.textContent = text;
  output.classList.toggle("some", shown < of);
}

function show() {
  const chosen = {};
  for (const each of facets) {
    chosen[each.dataset.facet] ??= new Set();
    if (each.checked) chosen[each.dataset.facet].add(each.value);
  }
  for (const each of placed) {
    each.hidden = !Object.entries(chosen).every(([facet, values]) =>
      !(facet in each.dataset) || each.dataset[facet].split(" ").some(value => values.has(value)));
  }
  for (const head of heads) {
    const columns = head.closest("thead").querySelectorAll(`[data-column="${head.dataset.columns}"]:not([hidden])`);
    head.hidden = columns.length === 0;
    head.colSpan = Math.max(1, columns.length);
  }

  const unwanted = new Set(verdicts.filter(box => !box.checked).map(box => box.dataset.verdict));
  const wanted = (words?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  for (const claim of claims) {
    const cases = [...claim.querySelectorAll("li")];
    const text = claim.textContent.toLowerCase();
    claim.hidden = unwanted.has(claim.dataset.verdict) || !wanted.every(word => text.includes(word))
      || cases.length > 0 && cases.every(each => each.hidden);
  }
  if (unmeasured) unmeasured.hidden = [...unmeasured.querySelectorAll(".claim")].every(claim => claim.hidden);

  for (const group of groups) {
    const own = [...group.querySelectorAll(group.id === "claims" ? ".claim" : "[data-size]")];
    const emptied = own.length > 0 && own.every(each => each.hidden);
    group.classList.toggle("emptied", emptied);
    let note = group.querySelector(":scope > .nothing");
    if (emptied && !note) {
      note = document.createElement("p");
      note.className = "nothing";
      note.textContent = "Nothing here is among what is shown: choose more above.";
      const heading = group.querySelector(":scope > h2, :scope > h3");
      if (heading) heading.after(note); else group.prepend(note);
    }
    if (note) note.hidden = !emptied;
  }

  const seen = comparisons.filter(each => !each.hidden).length;
  tell(document.getElementById("shown"), seen, comparisons.length, "comparisons");
  if (words) tell(document.getElementById("claims-shown"), judged.filter(each => !each.hidden).length, judged.length, "claims");
  // A finding is of many comparisons, so it cannot be cut to some: it says so where some are left out.
  if (whole) whole.hidden = seen === comparisons.length;
  form.querySelector("[type=reset]").hidden = facets.every(box => box.checked);
}

form.addEventListener("change", show);
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("reset", event => {
  event.preventDefault();
  for (const box of facets) box.checked = true;
  show();
});
for (const box of verdicts) box.addEventListener("change", show);
words?.addEventListener("input", show);
form.parentElement.hidden = false;
if (words) words.closest("fieldset").hidden = false;
show();

// Paper cannot be opened: whatever is selected is printed with its figures.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open]):not(.inner)")];
  for (const each of opened) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of opened) each.open = false;
});
