"use strict";
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  const search = form.querySelector("input[type=search]");
  const boxes = [...form.querySelectorAll("[data-verdict]")];
  const selects = [...form.querySelectorAll("select")];
  const differ = form.querySelector("[data-differ]");
  const entries = [...document.querySelectorAll("[data-verdicts]")];
  const texts = new Map(entries.map((entry) => [entry, entry.textContent.toLowerCase()]));

  function wanted(entry, words, shown) {
    const verdicts = entry.dataset.verdicts.split(" ").filter(Boolean);
    if (verdicts.length && !verdicts.some((verdict) => shown.has(verdict))) return false;
    if (differ && differ.checked && new Set(verdicts).size < 2) return false;
    if (selects.some((select) => select.value && entry.dataset[select.dataset.by] !== select.value)) return false;
    return words.every((word) => texts.get(entry).includes(word));
  }

  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.dataset.verdict));
    for (const entry of entries) entry.hidden = !wanted(entry, words, shown);
  }

  function reveal() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") {
      target.hidden = false;
      target.open = true;
      target.scrollIntoView({ block: "start" });
    }
  }

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", reveal);
  apply();
  reveal();
})();
