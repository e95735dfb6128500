// Logging in, and making the first administrator: the API answers with the session's cookie.
import { problem, ready, text } from "./jikimi.js";

const form = await ready("#door");
const { path, goal } = JSON.parse(form.dataset.door);
const told = form.querySelector("#door-problem");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  told.textContent = "";
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  }).catch(() => null);
  if (answer?.ok) { location.href = goal; return; }
  told.textContent = await why(answer);
  form.querySelector("input[type=password]").value = "";
});
form.querySelector("button[type=submit]").disabled = false;
form.querySelector("input").focus();

async function why(answer) {
  if (!answer) return text("disconnected");
  return problem(answer);
}
