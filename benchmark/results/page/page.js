"use strict";
// Without this script the page shows all tables, unsorted and unfiltered: it only rearranges what is there.
const root = document.documentElement;
const themeButton = document.getElementById("theme");
const filters = document.getElementById("filters");
const status = document.getElementById("status");
const rows = [...document.querySelectorAll("tbody tr")];

function isDark() {
  const chosen = root.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
function nameTheme() {
  themeButton.textContent = isDark() ? "Light theme" : "Dark theme";
}
function stored(value) {
  // A browser may refuse storage to a file: then the choice lasts as long as the page.
  try {
    if (value) localStorage.setItem("theme", value);
    return localStorage.getItem("theme");
  } catch (error) {
    return null;
  }
}
const before = stored();
if (before === "dark" || before === "light") root.dataset.theme = before;
themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  stored(root.dataset.theme);
  nameTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);

function sortBy(button) {
  const heading = button.closest("th");
  const column = heading.cellIndex;
  const numeric = button.dataset.kind === "number";
  const first = numeric ? "descending" : "ascending";
  const second = numeric ? "ascending" : "descending";
  const order = heading.getAttribute("aria-sort") === first ? second : first;
  for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const body = heading.closest("table").tBodies[0];
  const key = (row) => row.cells[column].dataset.sort;
  const compare = numeric ? (a, b) => Number(key(a)) - Number(key(b)) : (a, b) => key(a).localeCompare(key(b));
  body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
  status.textContent = `sorted by ${button.textContent}, ${order}`;
}
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => sortBy(button));
}

function matches(row, text, choices) {
  const fits = ([name, value]) => !value || !(name in row.dataset) || row.dataset[name] === value;
  return text.every((word) => row.dataset.text.toLowerCase().includes(word)) && Object.entries(choices).every(fits);
}
function applyFilters() {
  const value = (name) => document.getElementById(name).value;
  const text = value("text").toLowerCase().split(/\s+/).filter(Boolean);
  const choices = { split: value("split"), context: value("context"), trust: value("trust") };
  for (const row of rows) row.hidden = !matches(row, text, choices);
  for (const section of document.querySelectorAll("section[data-family]")) {
    section.hidden = Boolean(value("family")) && section.dataset.family !== value("family");
    section.querySelector(".none").hidden = section.querySelector("tbody tr:not([hidden])") !== null;
  }
  const shown = rows.filter((row) => !row.hidden && !row.closest("[hidden]")).length;
  status.textContent = `${shown} of ${rows.length} lines`;
}
for (const kind of ["input", "change"]) filters.addEventListener(kind, applyFilters);
filters.addEventListener("reset", () => setTimeout(applyFilters));
filters.addEventListener("submit", (event) => event.preventDefault());

filters.hidden = false;
themeButton.hidden = false;
nameTheme();
applyFilters();
