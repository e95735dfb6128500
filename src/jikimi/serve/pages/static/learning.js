// Sending a model: the browser streams the file itself, and tells how far it is.
import { problem, ready, site, text } from "./jikimi.js";

const input = await ready("#upload");
const told = await ready("#upload-told");

input.addEventListener("change", () => {
  const [file] = input.files;
  if (!file) return;
  const request = new XMLHttpRequest();
  request.upload.onprogress = ({ loaded, total }) => {
    told.textContent = text("uploading", { share: Math.round((100 * loaded) / total) });
  };
  request.upload.onload = () => { told.textContent = text("checking"); };
  request.onload = () => {
    if (request.status < 300) { location.reload(); return; }
    problem(new Response(request.responseText, { status: request.status })).then((words) => { told.textContent = words; });
  };
  request.onerror = () => { told.textContent = text("disconnected"); };
  request.open("POST", "/api/v1/models");
  request.setRequestHeader("X-CSRF-Token", site.csrf);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
});
