// Drawing zones and masks on a camera's picture. Corners are shares of the picture, from its upper left.
// Mouse, touch and keys: Tab goes to a corner, arrows move it, Delete takes it away, Enter on the picture adds one.
import { text } from "./jikimi.js";

const SVG = "http://www.w3.org/2000/svg";
const STEP = 0.01;

export class Regions {
  constructor(host, { picture, regions, changed, fixed }) {
    this.host = host;
    this.regions = regions; // [{kind: "zone" | "ignore" | "blacken", name, polygon: [[x, y], …]}]
    this.changed = changed;
    this.fixed = fixed;
    this.chosen = 0;
    this.image = document.createElement("img");
    this.image.alt = "";
    this.image.src = picture;
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", "0 0 1 1");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("tabindex", "0");
    this.svg.setAttribute("role", "application");
    this.svg.setAttribute("aria-label", text("draw-how"));
    this.svg.addEventListener("pointerdown", (event) => this.add(this.place(event)));
    this.svg.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === this.svg) this.add([0.5, 0.5]);
    });
    host.classList.add("j-regions");
    host.replaceChildren(this.image, this.svg);
    this.show();
  }

  place(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (value) => Math.min(1, Math.max(0, Math.round(value * 1000) / 1000));
    return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
  }

  add(corner) {
    const region = this.regions[this.chosen];
    if (this.fixed || !region) return;
    region.polygon.splice(nearestSide(region.polygon, corner), 0, corner);
    this.tell();
  }

  move(region, i, corner) { region.polygon[i] = corner; this.tell(false); }

  remove(region, i) { region.polygon.splice(i, 1); this.tell(); }

  choose(i) { this.chosen = i; this.show(); }

  set(regions, chosen) { this.regions = regions; this.chosen = chosen; this.show(); }

  tell(anew = true) {
    if (anew) this.show(); else this.redraw();
    this.changed(this.regions);
  }

  show() {
    this.svg.replaceChildren();
    this.shapes = this.regions.map((region, i) => {
      const shape = document.createElementNS(SVG, "polygon");
      shape.setAttribute("class", `${region.kind} ${i === this.chosen ? "chosen" : ""}`);
      shape.addEventListener("pointerdown", (event) => {
        if (i !== this.chosen) { event.stopPropagation(); this.choose(i); }
      });
      this.svg.append(shape);
      return shape;
    });
    const region = this.regions[this.chosen];
    this.corners = region && !this.fixed ? region.polygon.map((_, i) => this.corner(region, i)) : [];
    this.redraw();
  }

  corner(region, i) {
    const dot = document.createElement("button");
    dot.type = "button";
    dot.className = "j-corner";
    dot.setAttribute("aria-label", text("corner", { n: i + 1 }));
    dot.addEventListener("pointerdown", (event) => { event.stopPropagation(); dot.setPointerCapture(event.pointerId); });
    dot.addEventListener("pointermove", (event) => {
      if (dot.hasPointerCapture(event.pointerId)) this.move(region, i, this.place(event));
    });
    dot.addEventListener("dblclick", () => this.remove(region, i));
    dot.addEventListener("keydown", (event) => {
      const [x, y] = region.polygon[i];
      const far = event.shiftKey ? 5 * STEP : STEP;
      const to = { ArrowLeft: [x - far, y], ArrowRight: [x + far, y], ArrowUp: [x, y - far], ArrowDown: [x, y + far] }[event.key];
      if (to) { event.preventDefault(); this.move(region, i, to.map((v) => Math.min(1, Math.max(0, Number(v.toFixed(3)))))); }
      if (event.key === "Delete" || event.key === "Backspace") this.remove(region, i);
    });
    return dot;
  }

  redraw() {
    this.shapes.forEach((shape, i) => shape.setAttribute("points", this.regions[i].polygon.map((p) => p.join(",")).join(" ")));
    this.host.querySelectorAll(".j-corner").forEach((dot) => { if (!this.corners.includes(dot)) dot.remove(); });
    const region = this.regions[this.chosen];
    this.corners.forEach((dot, i) => {
      const [x, y] = region.polygon[i];
      dot.style.left = `${100 * x}%`;
      dot.style.top = `${100 * y}%`;
      if (!dot.isConnected) this.host.append(dot);
    });
  }
}

// Where a new corner goes: into the side that is nearest to it.
function nearestSide(polygon, [x, y]) {
  if (polygon.length < 3) return polygon.length;
  const far = polygon.map(([ax, ay], i) => {
    const [bx, by] = polygon[(i + 1) % polygon.length];
    const length = (bx - ax) ** 2 + (by - ay) ** 2 || 1e-9;
    const along = Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length));
    return Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay));
  });
  return far.indexOf(Math.min(...far)) + 1;
}
