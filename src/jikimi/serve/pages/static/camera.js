// One camera: the regions on its picture and the list beside them, told to the form whenever they change.
import { element, ready, text } from "./jikimi.js";
import { Regions } from "./regions.js";

const host = await ready("#regions");
const list = await ready("#region-list");
{
  const { picture, regions, fixed } = JSON.parse(host.dataset.given);
  const drawing = new Regions(host, { picture, regions, fixed, changed: tell });
  setInterval(() => { if (!document.hidden) drawing.image.src = `${picture}?${Date.now()}`; }, 2000);

  function tell() {
    emitEvent("regions", drawing.regions);
    show();
  }

  function add(kind) {
    const name = kind === "zone" ? `${text("zone")} ${drawing.regions.length + 1}` : "";
    drawing.set([...drawing.regions, { kind, name, polygon: [] }], drawing.regions.length);
    show();
  }

  function show() {
    list.replaceChildren(
      ...drawing.regions.map((region, i) => {
        const row = element("div", "j-row");
        const choose = element("button", `j-chip ${i === drawing.chosen ? "good" : ""}`, text(`region-${region.kind}`));
        choose.type = "button";
        choose.onclick = () => { drawing.choose(i); show(); };
        row.append(choose);
        if (region.kind === "zone") {
          const name = element("input", "j-input");
          name.value = region.name;
          name.disabled = fixed;
          name.setAttribute("aria-label", text("name"));
          name.onchange = () => { region.name = name.value; emitEvent("regions", drawing.regions); };
          row.append(name);
        }
        row.append(element("span", "j-soft", text("corners", { n: region.polygon.length })));
        if (!fixed) {
          const gone = element("button", "j-chip", text("remove"));
          gone.type = "button";
          gone.onclick = () => { drawing.set(drawing.regions.filter((r) => r !== region), 0); tell(); };
          row.append(gone);
        }
        return row;
      }),
    );
    if (fixed) return;
    const adding = element("div", "j-row");
    for (const kind of ["zone", "ignore", "blacken"]) {
      const button = element("button", "j-button plain", `+ ${text(`region-${kind}`)}`);
      button.type = "button";
      button.onclick = () => add(kind);
      adding.append(button);
    }
    list.append(adding);
  }
  show();
}
