// The Live page: a tile for each camera, with its picture, state, age, faults and scores.
import { on, want, clock, draw, element, ready, text, behavior, site } from "./jikimi.js";

const grid = await ready("#live");
const tiles = new Map();

function tile(name) {
  if (tiles.has(name)) return tiles.get(name);
  const made = { box: element("article", "j-tile"), seen_at: null };
  made.box.setAttribute("aria-label", name);
  const picture = element("div", "j-tile-picture");
  made.canvas = element("canvas");
  made.none = element("div", "j-tile-none", text("no-picture"));
  picture.append(made.canvas, made.none);
  const head = element("div", "j-tile-head");
  made.state = element("span", "j-chip");
  made.age = element("span", "j-tile-age");
  head.append(element("span", "j-tile-name", name), made.state, made.age);
  made.faults = element("div", "j-tile-faults");
  made.scores = element("div", "j-scores");
  made.box.append(picture, head, made.faults, made.scores);
  grid.append(made.box);
  tiles.set(name, made);
  return made;
}

function stateOf(camera) {
  if (camera.off_duty) return ["off-duty", ""];
  if (camera.shelved_until) {
    return ["shelved-until", "warn", { time: clock(camera.shelved_until, { timeStyle: "short" }) }];
  }
  return camera.state === "live" ? ["state-live", "good"] : [camera.state, "warn"];
}

function shown(camera) {
  const made = tile(camera.name);
  const [key, tone, values] = stateOf(camera);
  made.state.textContent = text(key, values);
  made.state.className = `j-chip ${tone}`;
  made.box.classList.toggle("warn", camera.faults.length > 0 || camera.state !== "live");
  made.faults.replaceChildren(...camera.faults.map((kind) => element("span", "j-chip warn", site.faults[kind] ?? kind)));
  made.reported = camera;
  scores(made, camera);
}

function scores(made, { scores: zones, theta_on }) {
  const best = {};
  for (const zone of Object.values(zones))
    for (const [key, score] of Object.entries(zone)) best[key] = Math.max(best[key] ?? 0, score);
  const rows = Object.keys(site.behaviors).filter((key) => key in best && key in theta_on && key !== site.normal);
  made.scores.replaceChildren(
    ...rows.flatMap((key) => {
      const bar = element("span", "bar");
      const level = element("i", best[key] >= theta_on[key] ? "high" : "");
      level.style.width = `${Math.round(100 * best[key])}%`;
      const mark = element("b");
      mark.style.left = `${100 * theta_on[key]}%`;
      bar.title = text("threshold-of", { score: theta_on[key].toFixed(2) });
      bar.append(level, mark);
      return [element("span", "", behavior(key)), bar, element("span", "number", best[key].toFixed(2).replace(/^0/, ""))];
    }),
  );
}

// The age of what is shown: of the picture on the screen, not of what the server has.
setInterval(() => {
  for (const made of tiles.values()) {
    const age = made.seen_at === null ? null : (performance.now() - made.seen_at) / 1000;
    const stale = age === null || age > 3;
    made.none.hidden = !stale;
    made.none.textContent = [text("no-picture"), made.reported?.why].filter(Boolean).join("\n");
    made.age.textContent = age === null ? "" : text("picture-age", { seconds: age.toFixed(1) });
  }
}, 250);

on("status", ({ cameras }) => {
  const names = cameras.map((camera) => camera.name);
  if (names.length !== tiles.size || names.some((name) => !tiles.has(name))) {
    for (const [name, made] of tiles) if (!names.includes(name)) { made.box.remove(); tiles.delete(name); }
    names.forEach(tile);
    want(names);
  }
  cameras.forEach(shown);
});
on("picture", ({ camera, bitmap, age_s }) => {
  const made = tiles.get(camera);
  if (!made) return;
  draw(made.canvas, bitmap);
  made.seen_at = performance.now() - 1000 * (age_s ?? 0);
  made.box.dataset.pictures = String(Number(made.box.dataset.pictures ?? 0) + 1);
});
on("event", ({ type, incident }) => {
  if (type === "incident") tiles.get(incident.camera)?.box.classList.toggle("alarm", !incident.closed_at);
});
