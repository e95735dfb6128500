// One incident: the score curve follows the film, and a click on the curve moves the film.
import { ready, text, behavior, site } from "./jikimi.js";

const host = await ready("#scores");
const film = await ready("video.j-film");
{
  const curve = await (await fetch(host.dataset.url)).json();
  const { t_s, threshold } = curve;
  const rows = curve.behaviors.map((key, i) => [key, curve.scores[i]]).filter(([key]) => key !== site.normal);
  const start_s = Number(film.dataset.startS);
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", text("score-curve"));
  host.append(canvas);
  const ink = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const hues = ["#0072b2", "#e69f00", "#cc79a7", "#d55e00", "#009e73", "#56b4e9", "#b8a600"]; // as charts.py
  const [first, last] = [t_s[0], t_s[t_s.length - 1]];
  const x = (t) => ((t - first) / (last - first || 1)) * canvas.width;
  const y = (score) => canvas.height - 4 - score * (canvas.height - 8);

  function paint() {
    canvas.width = host.clientWidth * devicePixelRatio;
    canvas.height = 120 * devicePixelRatio;
    const pen = canvas.getContext("2d");
    pen.lineWidth = 2 * devicePixelRatio;
    line(pen, ink("--line"), [[x(0), 0], [x(0), canvas.height]]);
    if (threshold) line(pen, ink("--line"), [[0, y(threshold)], [canvas.width, y(threshold)]]);
    rows.forEach(([_, row], i) => line(pen, hues[i % hues.length], row.flatMap((s, j) => (s === null ? [] : [[x(t_s[j]), y(s)]]))));
    const now = x(start_s + film.currentTime);
    line(pen, ink("--alarm"), [[now, 0], [now, canvas.height]]);
  }

  function line(pen, colour, points) {
    pen.strokeStyle = colour;
    pen.beginPath();
    points.forEach(([px, py], i) => (i ? pen.lineTo(px, py) : pen.moveTo(px, py)));
    pen.stroke();
  }

  const legend = document.createElement("div");
  legend.className = "j-legend";
  rows.forEach(([key], i) => {
    const name = document.createElement("span");
    name.textContent = behavior(key);
    name.style.setProperty("--hue", hues[i % hues.length]);
    legend.append(name);
  });
  host.append(legend);
  canvas.addEventListener("click", (event) => {
    const share = event.offsetX / canvas.clientWidth;
    film.currentTime = Math.max(0, first + share * (last - first) - start_s);
  });
  new ResizeObserver(paint).observe(host);
  let running = false;
  const follow = () => { paint(); running = !film.paused; if (running) requestAnimationFrame(follow); };
  ["play", "seeked", "timeupdate", "loadedmetadata"].forEach((kind) => film.addEventListener(kind, () => { if (!running) follow(); }));
}
