// One incident: the score curve beside the film, and where the model looked.
import { Curve } from "./curve.js";
import { element, problem, ready, text } from "./jikimi.js";

async function showScores() {
  const [host, film] = await Promise.all([ready("#scores"), ready("video.j-film")]);
  const answer = await fetch(host.dataset.url);
  if (!answer.ok) { host.append(element("p", "j-soft", await problem(answer))); return; }
  const curve = { smooth: 1, max_gap_s: 1, threshold_off: null, ...(await answer.json()) };
  new Curve(host, film, curve);
}

// The map takes seconds, and one is made at a time: the page waits its turn, for two minutes at most.
const PATIENCE_MS = 120_000;

async function offerHeat() {
  const host = await ready("#heat");
  const button = element("button", "j-button plain", text("heat-show"));
  button.type = "button";
  const told = element("p", "j-soft j-told");
  told.setAttribute("role", "status");
  host.append(button, told);
  button.onclick = async () => {
    button.disabled = true;
    told.textContent = text("heat-making");
    told.classList.add("j-busy");
    const answer = await patiently(host.dataset.url);
    told.classList.remove("j-busy");
    if (!answer?.ok) {
      told.textContent = answer ? await problem(answer) : text("disconnected");
      button.disabled = false;
      button.textContent = text("heat-again");
      return;
    }
    const image = element("img", "j-strip");
    image.alt = text("heat");
    image.src = URL.createObjectURL(await answer.blob());
    told.textContent = text("heat-score", { score: Number(answer.headers.get("Jikimi-Score")).toFixed(2) });
    button.remove();
    host.append(image);
  };
}

async function patiently(url) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await fetch(url).catch(() => null);
    const busy = answer?.status === 503 && (await answer.clone().json().catch(() => ({}))).code === "heat-busy";
    if (!busy || Date.now() > until) return answer;
    await new Promise((over) => setTimeout(over, 1000 * Number(answer.headers.get("Retry-After") ?? 3)));
  }
}

showScores();
offerHeat();
