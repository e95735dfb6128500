// Logging in, and making the first administrator: the API answers with the session's cookie.
import { ready, text } from "./jikimi.js";

const form = await ready("#door");
const { path, goal } = JSON.parse(form.dataset.door);
const problem = form.querySelector("#door-problem");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.textContent = "";
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  }).catch(() => null);
  if (answer?.ok) { location.href = goal; return; }
  problem.textContent = await why(answer);
  form.querySelector("input[type=password]").value = "";
});
form.querySelector("button[type=submit]").disabled = false;
form.querySelector("input").focus();

async function why(answer) {
  if (!answer) return text("disconnected");
  if (answer.status === 401) return text(path.endsWith("setup") ? "wrong-code" : "wrong-login");
  if (answer.status === 429) return text("too-often", { seconds: answer.headers.get("Retry-After") });
  const detail = (await answer.json().catch(() => null))?.detail ?? `HTTP ${answer.status}`;
  return detail.startsWith("password:") ? text("password-rule") : detail;
}
