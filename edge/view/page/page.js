// The page: shows what /events says. Every text is set as text; only the two drawings are markup, escaped where they are made.
"use strict";

const by = (id) => document.getElementById(id);
const words = (text) => String(text).replaceAll("_", " ");
const SVG = "http://www.w3.org/2000/svg";
const MAP_MS = 2000, GALLERY_MS = 3000;
const LOOK_MS = 300, DRAG_PX = 4;
let now = null, verdicts = [], mapKey = "", galleryKey = "", shownField = "", shownBars = "";
let chosen = null, look = null, lookKey = ""; // of an ended run: the field that was chosen, as it is by now, and for what it was asked

function made(tag, text, name) {
  const one = document.createElement(tag);
  if (text !== undefined && text !== null) one.textContent = text;
  if (name) one.className = name;
  return one;
}

function drawn(tag, given) {
  const one = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) one.setAttribute(name, value);
  return one;
}

function row(...cells) {
  const line = made("tr");
  cells.forEach((cell, at) => line.append(made(at ? "td" : "th", cell)));
  return line;
}

const ms = (value) => (value === null || value === undefined ? "-" : value.toFixed(1));

function showState(state) {
  const heard = state.heard, run = state.run;
  const silent = heard && (!heard.heard || heard.silent_s !== null);
  const name = heard ? (heard.heard ? heard.state : "NOT HEARD") : run && run.outcome ? run.outcome.toUpperCase() : "JOURNAL";
  by("state").textContent = silent && heard.heard ? `${name}, ${heard.silent_s} s ago` : name;
  by("state").className = `state ${silent ? "silent" : name}`;
  const id = (run && run.run_id) || (heard && heard.run_id);
  by("what").textContent = id ? `run ${id}${run && run.slide_id ? `, slide ${run.slide_id}` : ""}` : "no run yet";
  by("alarms").replaceChildren(...state.alarms.map((one) => made("p", one.text, one.severity)));
  by("gaps").replaceChildren(...(state.gaps.length ? state.gaps : ["None is known."]).map((text) => made("li", text)));
}

function showSpeed(state) {
  const pace = state.pace;
  by("ended").textContent = state.ended;
  by("wbc").textContent = state.sums.wbc_total;
  by("rate").textContent = ms(pace.fields_per_s);
  by("last-ms").textContent = ms(pace.last_ms);
  by("median-ms").textContent = ms(pace.median_ms);
  by("infer-ms").textContent = ms(pace.infer_ms);
  const rows = [["this edge", pace.median_ms, "own"], ...Object.entries(state.goals_ms).map(([name, value]) => [name, value, ""])];
  const most = Math.max(...rows.map(([, value]) => value || 0));
  by("goals").replaceChildren(...rows.map(([name, value, kind]) => {
    const line = made("div", null, `goal ${kind}`), bar = made("i");
    bar.style.width = `${value ? Math.max(1, (60 * value) / most) : 0}%`;
    line.append(made("em", name), bar, made("span", ms(value)));
    return line;
  }));
}

function showCounts(state) {
  const sums = state.sums, source = state.counts_from === "journal" ? "from the records" : "from telemetry";
  by("basis").textContent = state.counts_from ? `${sums.wbc_total} leukocytes, ${sums.basis}, ${source}` : "";
  if (sums.bars !== shownBars) { shownBars = sums.bars; by("bars").innerHTML = sums.bars; }
  const shares = new Map(sums.rows.map((one) => [one.label, one]));
  const labels = [...shares.keys(), ...Object.keys(sums.cells).filter((label) => !shares.has(label))];
  by("counts").tBodies[0].replaceChildren(...labels.map((label) => {
    const share = shares.get(label), line = made("tr");
    line.dataset.label = label;
    line.append(made("th", words(label)), made("td", sums.cells[label] || 0, "n"), made("td", share ? share.percent.toFixed(1) : "", "n"),
      made("td", share ? `${share.low_percent.toFixed(1)} to ${share.high_percent.toFixed(1)}`
        : label in sums.per_100 ? `${sums.per_100[label].toFixed(1)} per 100 leukocytes` : "", "n"));
    return line;
  }));
  by("ends").textContent = Object.entries(state.fields).map(([status, n]) => `${n} ${status}`).join(", ");
}

const ended = (state) => Boolean(state && state.run && state.run.outcome);

function showField(state) {
  const known = ended(state) && look && look.run_id === state.run.run_id ? look : null, field = known || state.last_field;
  by("field-choice").hidden = !known;
  by("field-which").textContent = known ? "Field" : "Last field";
  if (!field) {
    shownField = "";
    by("field-name").textContent = "";
    by("field").replaceChildren();
    by("field-said").textContent = "No field has ended yet.";
    return;
  }
  const key = JSON.stringify([state.run && state.run.run_id, field, reviewable()]);
  if (key === shownField) return;
  shownField = key;
  by("field-name").textContent = `${field.field_index}${field.source_name ? `, ${field.source_name}` : ""}: ${field.status}`;
  const found = Object.entries(field.counts).map(([label, n]) => `${n} ${words(label)}`).join(", ");
  const said = [field.detail, found, field.overflow ? "more candidates than the graph returns: cells may be missing" : "",
    (field.bad || []).map(words).join(", "), field.cells ? "" : "Boxes and picture need --journal FILE."];
  by("field-said").textContent = said.filter(Boolean).join("; ");
  by("field").replaceChildren();
  if (field.cells && field.width_px) by("field").append(fieldDrawing(state.run.run_id, field));
}

function fieldDrawing(runId, field) {
  const svg = drawn("svg", { viewBox: `0 0 ${field.width_px} ${field.height_px}`, role: "img" });
  const image = drawn("image", { width: field.width_px, height: field.height_px,
    href: `/field/${field.field_index}?run=${encodeURIComponent(runId)}` });
  image.addEventListener("error", () => {
    image.remove();
    if (by("field").contains(svg)) by("field-said").append(" The frame itself was not kept (--keep-frames DIR).");
  });
  svg.append(image);
  let from = null, dragged = false;
  const point = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  if (reviewable() && field.may_add) {
    svg.classList.add("takes");
    svg.addEventListener("pointerdown", (event) => { from = point(event); dragged = false; });
    svg.addEventListener("pointerup", (event) => {
      if (!from) return;
      const to = point(event), width = Math.abs(to.x - from.x), height = Math.abs(to.y - from.y);
      dragged = Math.min(width, height) >= DRAG_PX;
      const place = { field_index: field.field_index, x_px: (from.x + to.x) / 2, y_px: (from.y + to.y) / 2 };
      from = null;
      if (dragged) askReview(runId, "new", { ...place, width_px: width, height_px: height });
      else if (!event.target.classList.contains("box")) askReview(runId, "new", place);
    });
  }
  for (const cell of field.cells) {
    const [x1, y1, x2, y2] = cell.box_px;
    const box = drawn("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1,
      class: `box${cell.rejected ? " rejected" : ""}${cell.added ? " added" : ""}` });
    const label = drawn("text", { x: x1, y: Math.max(12, y1 - 4) });
    label.textContent = `${words(cell.label)} ${cell.rejected ? "rejected" : cell.added ? "added" : cell.score.toFixed(2)}`;
    if (reviewable() && cell.id) {
      box.style.pointerEvents = "all";
      box.classList.add("reviewable");
      box.addEventListener("click", () => { if (!dragged) askReview(runId, cell.id); });
    }
    svg.append(box, label);
  }
  return svg;
}

function showRest(state) {
  const heard = state.heard, run = state.run, rows = [];
  if (run) {
    by("remarks").tBodies[0].replaceChildren(...run.remarks.map((one) => {
      const line = row(one.severity, words(one.code), one.message);
      line.className = one.severity;
      return line;
    }));
    rows.push(["source", run.source], ["records read", `${run.records}, ${run.state}${run.outcome ? `, ${run.outcome}` : ""}`],
      ["chain", run.chain], ["reviewed", run.reviewed]);
  } else {
    by("remarks").tBodies[0].replaceChildren();
  }
  if (heard && heard.heard) {
    rows.push(["engine", heard.engine], ["telemetry", heard.endpoint], ["phase", heard.phase], ["waiting for the engine", heard.queue_fields],
      ["triggers open", heard.open_triggers], ["not acknowledged", heard.lag ?? "-"], ["sessions", heard.sessions]);
  }
  by("about").tBodies[0].replaceChildren(...rows.filter(([, value]) => value !== "").map((one) => row(...one)));
}

const reviewable = () => Boolean(now && now.may_review && now.run && now.run.outcome);

function show(state) {
  now = state;
  showState(state); showSpeed(state); showCounts(state); showField(state); showRest(state);
  document.body.dataset.ended = state.ended;
  document.body.dataset.outcome = (state.run && state.run.outcome) || "";
}

async function refreshMap() {
  const key = now ? JSON.stringify([now.run && now.run.run_id, now.heard && now.heard.run_id, now.ended, now.heard && now.heard.unseen]) : "";
  if (key && key !== mapKey) {
    const answer = await fetch("/map");
    if (answer.ok) { by("map").innerHTML = await answer.text(); mapKey = key; }
  }
}

async function refreshLook() {
  if (!ended(now) || !now.last_field) { look = null; lookKey = ""; chosen = null; return; }
  const run = now.run;
  if (look && look.run_id !== run.run_id) chosen = null;
  const index = chosen ?? now.last_field.field_index, key = JSON.stringify([run.run_id, index, run.reviews, run.records]);
  if (key === lookKey) return;
  const answer = await fetch(`/look/${index}?run=${encodeURIComponent(run.run_id)}`), told = await answer.json();
  lookKey = key;
  by("field-choice-said").textContent = answer.ok ? "" : told.error;
  if (!answer.ok) return;
  look = told;
  by("field-index").value = index;
  by("field-before").disabled = look.before === null;
  by("field-after").disabled = look.after === null;
  showField(now);
}

function choose(index) {
  chosen = Number.isInteger(index) && index >= 0 ? index : chosen;
  refreshLook();
}

async function refreshGallery() {
  const answer = await fetch("/gallery");
  if (!answer.ok || !now) return;
  const text = await answer.text(), key = `${reviewable()} ${text}`;
  if (key === galleryKey) return; // asked for each time: cells reach the disk later than the records that name them
  galleryKey = key;
  const gallery = JSON.parse(text);
  verdicts = gallery.verdicts;
  by("gallery-said").textContent = gallery.said;
  by("gallery").replaceChildren(...gallery.classes.map((one) => {
    const part = made("div", null, "class");
    part.dataset.label = one.label;
    part.append(made("p", `${words(one.label)}: ${one.kept} kept${one.kept > one.cells.length ? `, the newest ${one.cells.length}` : ""}`));
    part.append(...one.cells.map((cell) => galleryCell(gallery.run_id, one.label, cell)));
    return part;
  }));
}

function galleryCell(runId, label, cell) {
  const part = made("div", null, "cell"), image = made("img");
  image.src = `/crop/${cell.number}?run=${encodeURIComponent(runId)}`;
  image.alt = words(label);
  image.title = `field ${cell.field_index}, score ${cell.score}`;
  image.loading = "lazy";
  part.append(image, cell.judged ? `${words(cell.judged)}, ${cell.who}` : "");
  if (reviewable() && cell.cell) {
    part.classList.add("reviewable");
    part.addEventListener("click", () => askReview(runId, cell.cell));
  }
  return part;
}

function askReview(runId, cell, place) {
  const texts = Object.entries(place || {}).map(([name, value]) => [name, name === "field_index" ? String(value) : value.toFixed(1)]);
  by("review").dataset.run = runId;
  by("review").dataset.place = JSON.stringify(Object.fromEntries(texts));
  by("review-cell").textContent = cell;
  by("review-place").textContent = texts.length ? `in field ${place.field_index} at ${place.x_px.toFixed(0)}, ${place.y_px.toFixed(0)}${
    place.width_px ? `, ${place.width_px.toFixed(0)} x ${place.height_px.toFixed(0)} px` : ", as large as others of its class"}` : "";
  const said = verdicts.filter((one) => cell !== "new" || !["reject", "confirm"].includes(one));
  by("review-label").replaceChildren(...said.map((one) => { const option = made("option", words(one)); option.value = one; return option; }));
  by("review-said").textContent = "";
  by("review").showModal();
}

async function giveReview() {
  const said = { run_id: by("review").dataset.run, cell: by("review-cell").textContent, label: by("review-label").value,
    who: by("review-who").value, why: by("review-why").value, ...JSON.parse(by("review").dataset.place) };
  const answer = await fetch("/reviews", { method: "POST", body: JSON.stringify(said),
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${by("review-token").value}` } });
  const told = await answer.json();
  if (answer.ok) by("review").close();
  else by("review-said").textContent = told.error;
}

function again(refresh, every_ms) {
  const turn = async () => {
    const began = performance.now();
    try { await refresh(); } catch { /* the stream of states says when the server is gone */ }
    setTimeout(turn, Math.max(every_ms, 5 * (performance.now() - began)));
  };
  setTimeout(turn, 200);
}

const states = new EventSource("/events");
states.onmessage = (message) => {
  by("page-says").textContent = "live";
  by("page-says").className = "";
  show(JSON.parse(message.data));
};
states.onerror = () => {
  by("page-says").textContent = "this page has lost its server: nothing here is new; is `leuko-edge view` still running?";
  by("page-says").className = "bad";
};
by("review-give").addEventListener("click", giveReview);
by("review-leave").addEventListener("click", () => by("review").close());
by("field-index").addEventListener("change", () => choose(by("field-index").valueAsNumber));
by("field-before").addEventListener("click", () => choose(look.before));
by("field-after").addEventListener("click", () => choose(look.after));
again(refreshLook, LOOK_MS);
again(refreshMap, MAP_MS);
again(refreshGallery, GALLERY_MS);
