"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const key = `stylebench-study-${data.study}`;
const trials = new Map(data.parts.flat().map((trial) => [trial.trial, trial]));
const at = (id) => document.getElementById(id);
const served = location.protocol.startsWith("http");
let state, text, ready = false, kept = true, last = null;

const random = (below) => {
  const most = Math.floor(2 ** 32 / below) * below, found = new Uint32Array(1);
  do crypto.getRandomValues(found); while (found[0] >= most);
  return found[0] % below;
};

function shuffled(list) {
  const made = [...list];
  for (let last = made.length - 1; last > 0; last--) {
    const other = random(last + 1);
    [made[last], made[other]] = [made[other], made[last]];
  }
  return made;
}

function fresh() {
  const digits = crypto.getRandomValues(new Uint8Array(8));
  return {
    participant: [...digits].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
    exchanged: random(2) === 1,
    order: data.parts.flatMap((part) => shuffled(part)).map((trial) => trial.trial),
    choices: [], begun: false, sent: false, taken: false, language: null,
  };
}

function isOurs(found) {
  return found && Array.isArray(found.order) && Array.isArray(found.choices)
    && found.order.length === trials.size && found.order.every((id) => trials.has(id))
    && new Set(found.order).size === trials.size && found.choices.length <= trials.size
    && found.choices.every((choice) => ["a", "b", "same"].includes(choice))
    && /^[0-9a-f]{16}$/.test(found.participant) && typeof found.exchanged === "boolean";
}

function load() {
  try {
    const found = localStorage.getItem(key), parsed = JSON.parse(found);
    if (found !== last && isOurs(parsed)) {
      last = found;
      return parsed;
    }
  } catch { /* nothing is kept, or no longer whole */ }
  return null;
}

function keep() {
  const made = JSON.stringify(state);
  try {
    localStorage.setItem(key, made);
    last = made;
    kept = true;
  } catch {
    kept = false;
  }
  at("not-kept").hidden = kept;
  at("elsewhere").hidden = true;
}

// Go on from what another tab has kept; it began from what was kept here, so no answer is lost.
function follow() {
  const found = kept ? load() : null;
  if (!found) return false;
  state = found;
  speak(guess());
  show();
  at("elsewhere").hidden = false;
  return true;
}

function speak(code) {
  text = data.languages.find((each) => each.code === code) ?? data.languages[0];
  state.language = text.code;
  document.documentElement.lang = text.code;
  document.title = text.title;
  const say = (name) => (name === "question" ? text.question[data.question] : text[name]);
  for (const part of document.querySelectorAll("[data-text]")) part.textContent = say(part.dataset.text);
  for (const part of document.querySelectorAll("[data-alt]")) part.alt = say(part.dataset.alt);
  at("introduction").replaceChildren(...text.introduction.map((line) =>
    Object.assign(document.createElement("p"), { textContent: line })));
  at("start").textContent = text.start;
  at("language").value = text.code;
}

function guess() {
  const wanted = state.language ? [state.language] : navigator.languages ?? [];
  for (const want of wanted.map(String)) {
    const found = data.languages.find((each) => each.code === want)
      ?? data.languages.find((each) => each.code.split("-")[0] === want.split("-")[0]);
    if (found) return found.code;
  }
  return data.languages[0].code;
}

function answers() {
  return {
    format: 1, study: data.study, participant: state.participant, language: state.language,
    exchanged: state.exchanged, simulated: false,
    answers: state.choices.map((choice, place) => ({ trial: state.order[place], choice })),
  };
}

async function show() {
  const place = state.choices.length, over = place === state.order.length;
  at("intro").hidden = state.begun;
  at("trial").hidden = !state.begun || over;
  at("end").hidden = !state.begun || !over;
  if (!state.begun) return;
  if (over) {
    const file = new Blob([JSON.stringify(answers(), null, 1)], { type: "application/json" });
    URL.revokeObjectURL(at("download").href);
    Object.assign(at("download"), { href: URL.createObjectURL(file), download: `answers-${state.participant}.json` });
    at("send").hidden = !served || state.sent;
    at("told").textContent = state.sent ? text.sent : "";
    at("another").hidden = !(state.sent || state.taken);  // it forgets these answers
    at("over").focus();
    return;
  }
  ready = false;
  const trial = trials.get(state.order[place]);
  const sides = state.exchanged ? ["right-picture", "left-picture"] : ["left-picture", "right-picture"];
  const pictures = { content: trial.content, style: trial.style, [sides[0]]: trial.a, [sides[1]]: trial.b };
  for (const [id, number] of Object.entries(pictures)) at(id).src = data.pictures[number];
  at("progress").textContent = text.progress.replace("{n}", place + 1).replace("{all}", state.order.length);
  Object.assign(at("bar"), { value: place, max: state.order.length });
  at("back").disabled = place === 0;
  await Promise.allSettled(Object.keys(pictures).map((id) => at(id).decode()));
  ready = true;
}

function choose(side) {
  if (!ready || at("trial").hidden || follow()) return;
  state.choices.push(side === "same" ? "same" : (side === "left") !== state.exchanged ? "a" : "b");
  keep();
  at("asked").focus({ preventScroll: true });
  show();
}

function back() {
  if (!ready || at("trial").hidden || follow() || !state.choices.length) return;
  state.choices.pop();
  keep();
  at("asked").focus({ preventScroll: true });
  show();
}

async function send() {
  if (follow()) return;
  const given = answers();
  at("send").disabled = true;
  try {
    const answer = await fetch("answers", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(given),
    });
    if (!answer.ok) throw new Error(answer.status);
    follow();
    if (state.participant === given.participant) {
      state.sent = true;
      keep();
      await show();
    }
  } catch {
    at("told").textContent = text.not_sent;
  }
  at("send").disabled = false;
}

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "same", " ": "same" };
addEventListener("keydown", (event) => {
  if (at("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && event.target instanceof HTMLButtonElement) return;
  if (event.key in KEYS || event.key === "Backspace") {
    event.preventDefault();
    if (event.repeat) return;
    if (event.key === "Backspace") back();
    else choose(KEYS[event.key]);
  }
});
for (const side of ["left", "right", "same"]) at(side).addEventListener("click", () => choose(side));
at("back").addEventListener("click", back);
at("send").addEventListener("click", send);
at("download").addEventListener("click", (event) => {
  if (follow()) {
    event.preventDefault();
    return;
  }
  state.taken = true;
  keep();
  at("another").hidden = false;
});
at("start").addEventListener("click", () => {
  if (follow()) return;
  state.begun = true;
  keep();
  show();
});
at("language").addEventListener("change", (event) => {
  const chosen = event.target.value;
  follow();
  speak(chosen);
  keep();
});
at("another").addEventListener("click", () => {
  if (follow()) return;
  const spoken = state.language;
  state = fresh();
  state.language = spoken;
  speak(spoken);
  keep();
  show();
});
at("language").append(...data.languages.map((each) => new Option(each.name, each.code)));
state = load() ?? fresh();
speak(guess());
keep();
show();
addEventListener("storage", (event) => { if (event.key === key) follow(); });
document.addEventListener("visibilitychange", follow);
