// What every page shares: one connection for pictures, status, incidents and faults; the alarm and its sound.
// Pages give `window.jikimi` (words, camera names, roles) before this runs.
const site = window.jikimi;
const text = (key, values = {}) =>
  (site.words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const behavior = (key) => site.behaviors[key] ?? key;

// Where in a request something is wrong: its last part, in words where there are any (words.py).
const placeOf = (place) =>
  place.split(", ").map((one) => site.places[one.split(".").at(-1)] ?? one.split(".").at(-1)).join(", ");

// Why the API refused, in the page's language.
export async function problem(answer) {
  const told = await answer.json().catch(() => null);
  const words = site.problems[told?.code];
  if (!words) return told?.detail ?? `HTTP ${answer.status}`;
  const sentence = words.charAt(0).toUpperCase() + words.slice(1);
  const values = { ...told.values, place: placeOf(told.values.place ?? "") };
  return sentence.replace(/\{(\w+)(?:!r)?\}/g, (_, name) => values[name] ?? "");
}

site.problem = problem;  // for scripts of the server

// Charts are drawn by the server, which does not know otherwise what the system prefers.
const system = matchMedia("(prefers-color-scheme: dark)");
const tellSystem = () => {
  document.cookie = `jikimi-system-dark=${system.matches ? 1 : 0}; path=/; max-age=31536000; samesite=lax`;
};
system.addEventListener("change", tellSystem);
tellSystem();

const listeners = { status: [], picture: [], event: [], snapshot: [] };
const wanted = new Set();
let socket = null;
let pause_ms = 500;
let closed_at = null;

export const on = (kind, listener) => listeners[kind].push(listener);
const tell = (kind, value) => listeners[kind].forEach((listener) => listener(value));

export function want(cameras) {
  wanted.clear();
  cameras.forEach((camera) => wanted.add(camera));
  ask();
}

const shown = () => [...new Set([...wanted, ...(alarms.camera ? [alarms.camera] : [])])];

function ask() {
  if (socket?.readyState === WebSocket.OPEN)
    socket.send(JSON.stringify({ pictures: document.hidden ? [] : shown(), rate_hz: 8 }));
}
document.addEventListener("visibilitychange", ask);

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/api/v1/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { pause_ms = 500; closed_at = null; bar("disconnected", false); ask(); };
  socket.onmessage = ({ data }) => (typeof data === "string" ? heard(JSON.parse(data)) : pictured(data));
  socket.onclose = (event) => {
    if (event.code === 4401) { location.href = `/login?next=${encodeURIComponent(location.pathname)}`; return; }
    closed_at ??= Date.now();
    bar("disconnected", Date.now() - closed_at > 800 || pause_ms > 500);
    setTimeout(connect, pause_ms * (0.75 + Math.random() / 2));
    pause_ms = Math.min(5000, pause_ms * 2);
  };
}

function heard(message) {
  if (message.type === "snapshot") {
    alarms.begin(message.incidents.filter((one) => !one.acknowledged_at));
    tell("snapshot", message);
  }
  if (message.status) tell("status", message.status);
  if (message.type === "incident" || message.type === "fault") tell("event", message);
}

function pictured(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const jpeg = new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" });
  createImageBitmap(jpeg).then((bitmap) => tell("picture", { ...head, bitmap }));
}

// The page's elements are made by Vue after the scripts have loaded.
export function ready(selector) {
  return new Promise((found) => {
    const look = () => {
      const element = document.querySelector(selector);
      if (element) { observer.disconnect(); found(element); }
    };
    const observer = new MutationObserver(look);
    observer.observe(document.documentElement, { childList: true, subtree: true });
    look();
  });
}

export function draw(canvas, bitmap) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

// A moment on the plant's own clock, wherever the browser is. A plant without a zone of its own has the server's.
export function clock(moment, options = {}) {
  const at = new Date(moment);
  if (site.zone) return at.toLocaleTimeString(site.language, { timeZone: site.zone, ...options });
  at.setMinutes(at.getMinutes() + site.offset_min);
  return at.toLocaleTimeString(site.language, { timeZone: "UTC", ...options });
}

export function element(tag, classes = "", words = "") {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (words) made.textContent = words;
  return made;
}

// Bars at the foot of every page: what everybody must know, and goes away by itself.
function bar(key, shown, words = text(key)) {
  let bars = document.querySelector("#bars");
  if (!bars) {
    bars = element("div", "j-bars");
    bars.id = "bars";
    document.body.append(bars);
  }
  let found = bars.querySelector(`#bar-${key}`);
  if (!found) {
    found = element(key === "sound-off" ? "button" : "div", "j-bar");
    found.id = `bar-${key}`;
    found.setAttribute("role", "status");
    bars.append(found);
  }
  found.hidden = !shown;
  if (found.textContent !== words) found.textContent = words;
  return found;
}

// Faults are as visible as incidents, on every page; a new one is heard once.
let ill = new Set();
on("status", ({ cameras, faults }) => {
  const named = (kinds) => kinds.map((kind) => site.faults[kind] ?? kind).join(", ");
  const told = cameras.filter((camera) => camera.faults.length).map((camera) => `${camera.name}: ${named(camera.faults)}`);
  if (faults?.length) told.push(named(faults));
  bar("faults-now", told.length > 0, text("faults-now", { faults: told.join(" · ") }));
  const all = [...cameras.flatMap((camera) => camera.faults.map((kind) => `${camera.name} ${kind}`)), ...(faults ?? [])];
  if (all.some((one) => !ill.has(one))) sound.beep([520, 390]);
  ill = new Set(all);
});

// The sound: two tones, made here, so that no file has to be loaded when it matters.
const sound = {
  context: null,
  timer: null,
  ready() { return this.context?.state === "running"; },
  // Where a browser wants a press first, `resume` waits for it.
  unlock() {
    this.context ??= new AudioContext();
    return this.context.resume().then(() => bar("sound-off", false));
  },
  async beep(pitches = [880, 660, 880]) {
    if (!this.ready()) await Promise.race([this.unlock(), new Promise((over) => setTimeout(over, 150))]);
    if (!this.ready()) { bar("sound-off", true).onclick = () => this.unlock(); return; }
    const now = this.context.currentTime;
    pitches.forEach((pitch, i) => {
      const tone = this.context.createOscillator();
      const gain = this.context.createGain();
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(0.25, now + i * 0.22);
      gain.gain.exponentialRampToValueAtTime(0.001, now + i * 0.22 + 0.2);
      tone.connect(gain).connect(this.context.destination);
      tone.start(now + i * 0.22);
      tone.stop(now + i * 0.22 + 0.21);
    });
    document.documentElement.dataset.sounded = String(Date.now());
  },
  begin() { if (!this.timer) { this.beep(); this.timer = setInterval(() => this.beep(), 1500); } },
  end() { clearInterval(this.timer); this.timer = null; },
};
["pointerdown", "keydown"].forEach((kind) => addEventListener(kind, () => sound.unlock(), { once: true }));

// A press or a key keeps somebody logged in, also where it asks nothing of the server; an open page does not.
const USE_EVERY_MS = 300_000;
let used_at = Date.now();
["pointerdown", "keydown"].forEach((kind) => addEventListener(kind, () => {
  if (!site.user || Date.now() - used_at < USE_EVERY_MS) return;
  used_at = Date.now();
  fetch("/api/v1/me").catch(() => { used_at = 0; });
}, { passive: true }));

// Incidents that nobody has acknowledged: the newest is shown large, all are listed.
const alarms = {
  open: new Map(),
  box: null,
  begin(incidents) { this.open = new Map(incidents.map((one) => [one.uid, one])); this.show(); },
  hear({ type, incident }) {
    if (type !== "incident") return;
    if (incident.acknowledged_at || incident.answer) this.open.delete(incident.uid);
    else this.open.set(incident.uid, incident);
    this.show();
  },
  // Who may not acknowledge can put an incident away on their own screen.
  put_away: new Set(JSON.parse(sessionStorage.getItem("jikimi-put-away") ?? "[]")),
  putAway(one) {
    this.put_away.add(one.uid);
    sessionStorage.setItem("jikimi-put-away", JSON.stringify([...this.put_away]));
    this.show();
  },
  show() {
    const all = [...this.open.values()]
      .filter((one) => !this.put_away.has(one.uid))
      .sort((a, b) => b.opened_at.localeCompare(a.opened_at));
    const bell = document.querySelector("#bell");
    if (bell) {
      bell.hidden = all.length === 0;
      bell.textContent = String(all.length);
      bell.setAttribute("aria-label", text("bell", { n: all.length }));
    }
    if (!this.box) this.build();
    if (all.length) sound.begin(); else sound.end();
    // The page of an incident is not covered by that incident; its sound goes on.
    const over = all.filter((one) => location.pathname !== `/incidents/${encodeURIComponent(one.uid)}`);
    this.box.hidden = over.length === 0;
    this.cover(over.length > 0);
    this.camera = over[0]?.camera ?? null;
    ask();
    if (over.length === 0) return;
    this.title.textContent = `${text("possible-accident")}: ${behavior(over[0].behavior)} · ${over[0].camera}`;
    this.rows.replaceChildren(...over.slice(0, 12).map((one) => this.row(one)));
    if (!this.box.contains(document.activeElement)) this.rows.querySelector("button, a")?.focus();
  },
  // Keys do not lead behind what covers the page.
  cover(covered) {
    document.querySelectorAll("body > :not(.j-alarm, .j-bars, script, style)").forEach((part) => { part.inert = covered; });
  },
  build() {
    this.box = element("div", "j-alarm");
    this.box.setAttribute("role", "alertdialog");
    this.box.setAttribute("aria-modal", "true");
    const inner = element("div", "j-alarm-box");
    this.title = element("h2");
    this.title.id = "alarm-title";
    this.box.setAttribute("aria-labelledby", "alarm-title");
    this.canvas = element("canvas");
    this.rows = element("div", "j-alarm-rows");
    inner.append(this.title, this.canvas, this.rows);
    this.box.append(inner);
    document.body.append(this.box);
  },
  row(one) {
    const row = element("div");
    row.append(element("strong", "", `${behavior(one.behavior)} · ${one.camera}`));
    row.append(element("span", "j-soft", clock(one.opened_at)));
    row.append(element("span", "j-space"));
    if (site.may_answer) {
      const button = element("button", "j-button alarm", text("acknowledge"));
      button.onclick = () => this.acknowledge(one, button);
      row.append(button);
    } else {
      const button = element("button", "j-button", text("put-away"));
      button.onclick = () => this.putAway(one);
      row.append(button);
    }
    const look = element("a", "j-button plain", text("look"));
    look.href = `/incidents/${encodeURIComponent(one.uid)}`;
    row.append(look);
    return row;
  },
  async acknowledge(one, button) {
    button.disabled = true;
    const answer = await fetch(`/api/v1/incidents/${encodeURIComponent(one.uid)}/acknowledge`, {
      method: "POST",
      headers: { "X-CSRF-Token": site.csrf },
    }).catch(() => null);
    if (answer?.ok) { this.open.delete(one.uid); this.show(); }
    else button.disabled = false;
  },
};
on("event", (message) => alarms.hear(message));
on("picture", ({ camera, bitmap }) => { if (camera === alarms.camera && alarms.canvas) draw(alarms.canvas, bitmap); });

export { text, behavior, site };
if (site.user) connect();
