// The scores of an incident over time: the film and the curve move each other.
import { behavior, element, site, text } from "./jikimi.js";

const HUES = ["#0072b2", "#e69f00", "#cc79a7", "#d55e00", "#009e73", "#56b4e9", "#b8a600"]; // as charts.py
const HEIGHT_PX = 180;
const LEFT_PX = 30;
const FOOT_PX = 20;

// The rule looks at the mean of the last `smooth` scores, which a gap begins anew (incident.py).
export function means(t_s, scores, { smooth, max_gap_s }) {
  let run = [];
  return scores.map((score, i) => {
    if (i && t_s[i] - t_s[i - 1] > max_gap_s) run = [];
    run = [...run, score].slice(-smooth);
    return run.reduce((sum, one) => sum + one, 0) / run.length;
  });
}

export class Curve {
  constructor(host, film, curve) {
    Object.assign(this, { host, film, curve, t_s: curve.t_s, start_s: Number(film.dataset.startS) });
    [this.first, this.last] = [curve.t_s[0] ?? 0, curve.t_s.at(-1) ?? 1];
    this.rows = curve.behaviors
      .map((key, i) => ({ key, hue: HUES[i % HUES.length], raw: curve.scores[i] }))
      .filter(({ key }) => key !== site.normal)
      .map((row) => ({ ...row, mean: means(curve.t_s, row.raw, curve) }));
    this.canvas = element("canvas");
    for (const [name, value] of Object.entries({
      role: "slider", tabindex: 0, "aria-label": text("score-curve"),
      "aria-valuemin": this.first, "aria-valuemax": this.last,
    })) this.canvas.setAttribute(name, value);
    this.canvas.addEventListener("click", (event) => {
      const share = (event.offsetX - LEFT_PX) / (this.canvas.clientWidth - LEFT_PX);
      this.go(this.first + share * (this.last - this.first));
    });
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    host.append(this.canvas, this.legend());
    new ResizeObserver(() => this.paint()).observe(host);
    let running = false;
    const follow = () => { this.paint(); running = !film.paused; if (running) requestAnimationFrame(follow); };
    ["play", "seeked", "timeupdate", "loadedmetadata"].forEach((kind) =>
      film.addEventListener(kind, () => { if (!running) follow(); }));
  }

  get now() { return this.start_s + this.film.currentTime; }

  go(t) { this.film.currentTime = Math.max(0, Math.min(this.last, Math.max(this.first, t)) - this.start_s); }

  press(event) {
    const at = this.t_s.findIndex((t) => t > this.now + 1e-3);
    const [before, after] = [this.t_s.findLast((t) => t < this.now - 1e-3), at < 0 ? this.last : this.t_s[at]];
    const to = { ArrowLeft: before ?? this.first, ArrowRight: after, Home: this.first, End: this.last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.go(to);
  }

  legend() {
    const legend = element("div", "j-legend");
    const { smooth, threshold, threshold_off } = this.curve;
    for (const { key, hue } of this.rows) {
      const name = element("span", "hue", behavior(key));
      name.style.setProperty("--hue", hue);
      legend.append(name);
    }
    const notes = [text("curve-mean", { n: smooth }), ...(smooth > 1 ? [text("curve-raw")] : [])];
    if (threshold) notes.push(text("curve-on", { score: threshold.toFixed(2) }));
    if (threshold_off) notes.push(text("curve-off", { score: threshold_off.toFixed(2) }));
    notes.forEach((note) => legend.append(element("span", "j-soft", note)));
    return legend;
  }

  x(t) { return this.left + ((t - this.first) / (this.last - this.first || 1)) * (this.canvas.width - this.left); }

  y(score) { return 6 * this.ratio + (1 - score) * (this.canvas.height - (FOOT_PX + 6) * this.ratio); }

  paint() {
    this.ratio = devicePixelRatio;
    this.left = LEFT_PX * this.ratio;
    this.canvas.width = this.host.clientWidth * this.ratio;
    this.canvas.height = HEIGHT_PX * this.ratio;
    const pen = this.canvas.getContext("2d");
    const ink = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
    this.axes(pen, ink("--line"), ink("--ink-soft"));
    const { threshold, threshold_off, behavior: key, smooth } = this.curve;
    for (const [score, dash] of [[threshold, [8, 4]], [threshold_off, [2, 4]]]) {
      if (score) this.line(pen, [[this.left, this.y(score)], [this.canvas.width, this.y(score)]], { colour: ink("--ink-soft"), dash });
    }
    for (const row of this.rows) {
      if (row.key === key && smooth > 1) this.scores(pen, row.raw, { colour: row.hue, width: 1 });
      this.scores(pen, row.mean, { colour: row.hue, width: row.key === key ? 3 : 1.5 });
    }
    const now = this.x(Math.min(this.last, Math.max(this.first, this.now)));
    this.line(pen, [[now, 0], [now, this.y(0)]], { colour: ink("--alarm"), width: 2 });
    this.tell();
  }

  axes(pen, faint, ink) {
    pen.font = `${11 * this.ratio}px system-ui, sans-serif`;
    pen.fillStyle = ink;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const score of [0, 0.5, 1]) {
      this.line(pen, [[this.left, this.y(score)], [this.canvas.width, this.y(score)]], { colour: faint });
      pen.fillText(score.toFixed(1), this.left - 5 * this.ratio, this.y(score));
    }
    pen.textAlign = "center";
    const step = [1, 2, 5, 10, 30, 60, 300].find((s) => (this.last - this.first) / s <= 10) ?? 600;
    for (let t = Math.ceil(this.first / step) * step; t <= this.last; t += step) {
      this.line(pen, [[this.x(t), this.y(1)], [this.x(t), this.y(0)]], { colour: faint, width: t === 0 ? 2 : 1 });
      const edge = 14 * this.ratio; // a number is not cut by the picture's edge
      const at = Math.min(this.canvas.width - edge, Math.max(this.left, this.x(t)));
      pen.fillText(`${t} s`, at, this.canvas.height - 8 * this.ratio);
    }
  }

  scores(pen, row, style) {
    let run = [];
    row.forEach((score, i) => {
      if (i && this.t_s[i] - this.t_s[i - 1] > this.curve.max_gap_s) { this.line(pen, run, style); run = []; }
      run.push([this.x(this.t_s[i]), this.y(score)]);
    });
    this.line(pen, run, style);
  }

  line(pen, points, { colour, width = 1, dash = [] }) {
    pen.strokeStyle = colour;
    pen.lineWidth = width * this.ratio;
    pen.setLineDash(dash.map((one) => one * this.ratio));
    pen.beginPath();
    points.forEach(([px, py], i) => (i ? pen.lineTo(px, py) : pen.moveTo(px, py)));
    pen.stroke();
  }

  // What a screen reader says of the moment that is shown.
  tell() {
    const i = this.t_s.findLastIndex((t) => t <= this.now + 1e-3);
    const row = this.rows.find(({ key }) => key === this.curve.behavior);
    const score = i < 0 || !row ? "" : `${behavior(row.key)} ${row.mean[i].toFixed(2)}`;
    this.canvas.setAttribute("aria-valuenow", this.now.toFixed(2));
    this.canvas.setAttribute("aria-valuetext", `${this.now.toFixed(1)} s, ${score}`);
  }
}
