"use strict";

// Tables: sort by a button in each head, filter by words; without this script they stand as made.

function sortRows(table, column, ascending) {
  const body = table.tBodies[0];
  const number = (cell) => Number(cell.dataset.value ?? NaN);
  const compare = (one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1; // unknown: at the end
    const order = Number.isNaN(x)
      ? a.textContent.localeCompare(b.textContent, "en", { numeric: true })
      : x - y;
    return ascending ? order : -order;
  };
  body.append(...[...body.rows].sort(compare));
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortRows(table, column, ascending);
    });
  });
}

function makeFilter(table) {
  const box = document.createElement("div");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const told = document.createElement("span");
  const rows = [...table.tBodies[0].rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  box.className = "filter";
  input.type = "search";
  told.setAttribute("role", "status");
  label.append("Filter ", input);
  box.append(label, told);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => texts.get(row).includes(word));
    tell();
  });
  const tell = () => {
    told.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  tell();
  table.closest(".scroll").before(box);
}

// The comparison: a range input over two pictures says how much of the upper one is shown.

function fill(select, labels, chosen) {
  select.replaceChildren(...labels.map((label, index) => new Option(label, index)));
  select.selectedIndex = chosen;
}

function compare() {
  const pairs = JSON.parse(document.getElementById("compare-data").textContent);
  const [pair, left, right, split, stage] = ["pair", "left", "right", "split", "stage"].map((name) =>
    document.getElementById(`compare-${name}`),
  );
  const [under, over] = stage.querySelectorAll("img");

  const show = () => {
    const { arms } = pairs[pair.value];
    for (const [select, image, end] of [[left, over, "left"], [right, under, "right"]]) {
      const arm = arms[select.value];
      const source = document.getElementById(arm.key);
      Object.assign(image, { src: source.src, alt: source.alt });
      for (const side of ["width", "height"]) image.setAttribute(side, source.getAttribute(side));
      document.getElementById(`compare-${end}-name`).textContent = arm.label;
    }
    move();
  };
  const move = () => {
    stage.style.setProperty("--split", `${split.value}%`);
    const { arms } = pairs[pair.value];
    split.setAttribute("aria-valuetext", `${split.value} % ${arms[left.value].label}`);
  };
  const choose = () => {
    const labels = pairs[pair.value].arms.map((arm) => arm.label);
    const kept = [left, right].map((select) => labels.indexOf(select.selectedOptions[0]?.label));
    const made = labels.findIndex((label) => label !== "content" && label !== "style");
    const first = kept[0] >= 0 ? kept[0] : Math.max(made, 0);
    const second = kept[1] >= 0 ? kept[1] : Math.min(first + 1, labels.length - 1);
    fill(left, labels, first);
    fill(right, labels, second);
    show();
  };
  fill(pair, pairs.map((entry) => entry.label), 0);
  pair.addEventListener("change", choose);
  for (const select of [left, right]) select.addEventListener("change", show);
  split.addEventListener("input", move);
  choose();
}

for (const table of document.querySelectorAll("table.data")) {
  makeSortable(table);
  makeFilter(table);
}
for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
if (document.getElementById("compare-data")) compare();
