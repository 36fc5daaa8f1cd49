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
  let texts = null;
  box.className = "filter";
  input.type = "search";
  told.setAttribute("role", "status");
  const title = table.closest(".scroll").getAttribute("aria-label");
  input.setAttribute("aria-label", `Filter ${title}`);
  label.append("Filter ", input);
  box.append(label, told);
  const tell = (shown) => (told.textContent = `${shown} of ${rows.length} rows`);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    texts ??= rows.map((row) => row.textContent.toLowerCase());
    rows.forEach((row, index) => (row.hidden = !words.every((word) => texts[index].includes(word))));
    tell(rows.filter((row) => !row.hidden).length);
  });
  tell(rows.length);
  table.closest(".scroll").before(box);
}

// A table in a closed part of the page is made ready when that is opened.
function prepare(table) {
  const fold = table.closest("details");
  const ready = () => {
    makeSortable(table);
    makeFilter(table);
  };
  if (!fold || fold.open) ready();
  else fold.addEventListener("toggle", ready, { once: true });
}

// What is wider than its place says so.

function hint(box) {
  const told = document.createElement("p");
  told.className = "hint";
  told.textContent = "Wider than the screen: scroll sideways →";
  told.hidden = true;
  box.before(told);
  const look = () => (told.hidden = box.scrollWidth <= box.clientWidth);
  new ResizeObserver(look).observe(box);
}

// The comparison: a range input over two pictures says how much of the upper one is shown.

function fill(select, labels, chosen) {
  select.replaceChildren(...labels.map((label, index) => new Option(label, index)));
  select.selectedIndex = chosen;
}

function compare(section) {
  const part = (name) => document.getElementById(`${section.id}-${name}`);
  const pairs = JSON.parse(part("data").textContent);
  const [pair, left, right, split, stage] = ["pair", "left", "right", "split", "stage"].map(part);
  const [under, over] = stage.querySelectorAll("img");

  const show = () => {
    const { arms } = pairs[pair.value];
    for (const [select, image, end] of [[left, over, "left"], [right, under, "right"]]) {
      const arm = arms[select.value];
      const source = document.getElementById(arm.key);
      Object.assign(image, { src: source.src, alt: source.alt });
      for (const side of ["width", "height"]) image.setAttribute(side, source.getAttribute(side));
      part(`${end}-name`).textContent = arm.label;
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
    const [first, second] = [0, 1].map((side) => (kept[side] >= 0 ? kept[side] : pairs[pair.value].first[side]));
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

// A picture that is clicked, or chosen with Enter, is shown as large as it is.

function enlarged() {
  const dialog = document.createElement("dialog");
  const [image, text, close] = ["img", "p", "button"].map((name) => document.createElement(name));
  close.type = "button";
  close.textContent = "Close";
  dialog.append(image, text, close);
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}

function enlarge(pictures) {
  let dialog = null; // made when the first picture is asked for
  for (const picture of pictures) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "zoom";
    button.setAttribute("aria-label", `Enlarge: ${picture.alt}`);
    picture.replaceWith(button);
    button.append(picture);
    button.addEventListener("click", () => {
      dialog ??= enlarged();
      Object.assign(dialog.querySelector("img"), { src: picture.src, alt: picture.alt });
      dialog.querySelector("p").textContent = picture.alt;
      dialog.setAttribute("aria-label", picture.alt);
      dialog.showModal();
    });
  }
}

// The bar of links marks where the reader is, and keeps that link in sight.

function follow(bar) {
  const links = new Map(
    [...bar.querySelectorAll("a")].map((link) => [
      document.getElementById(link.hash.slice(1)),
      link,
    ]),
  );
  const mark = (entries) => {
    for (const { target, isIntersecting } of entries) {
      const link = links.get(target);
      if (isIntersecting) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
    const here = bar.querySelector("[aria-current]");
    if (here) bar.scrollTo({ left: here.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2 });
  };
  const middle = new IntersectionObserver(mark, { rootMargin: "-20% 0px -79% 0px" });
  for (const target of links.keys()) middle.observe(target);
}

// A link to a closed part opens it.
function unfold() {
  const target = document.getElementById(location.hash.slice(1));
  const fold = target?.querySelector(":scope > details") ?? target?.closest("details");
  if (fold) fold.open = true;
}

for (const box of document.querySelectorAll(".scroll")) hint(box);
for (const table of document.querySelectorAll("table.data")) prepare(table);
for (const part of document.querySelectorAll("section.scripted")) compare(part);
enlarge(document.querySelectorAll(".glance img, .grid img"));
for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
follow(document.querySelector("nav"));
addEventListener("hashchange", unfold);
unfold();
