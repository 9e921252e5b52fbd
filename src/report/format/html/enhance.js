// Sorting of tables and a read-out of charts. The page is complete without them.
"use strict";
(() => {
  const number = (cell) => parseFloat(cell.textContent.replace("−", "-"));
  const compare = (column) => (one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    const [x, y] = [number(a), number(b)];
    if (!isNaN(x) && !isNaN(y)) return x - y;
    if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
    return a.textContent.localeCompare(b.textContent);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      header.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = header.getAttribute("aria-sort") === "ascending";
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].sort(compare(column));
        if (down) rows.reverse();
        table.tBodies[0].append(...rows);
      });
    });
  }

  // A chart names its scales, so that the places of its lines can be turned into values again.
  const inverse = (scale, part) => {
    const [kind, from, to] = scale.split(" ");
    const at = Number(from) + part * (Number(to) - Number(from));
    if (kind === "log") return 10 ** at;
    return kind === "nines" ? 100 * (1 - 10 ** -at) : at;
  };
  const short = (value) => Number(value.toPrecision(3)).toLocaleString("en");
  const time = (seconds) => {
    const whole = Math.round(seconds);
    const two = (part) => String(part).padStart(2, "0");
    return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  };
  for (const svg of document.querySelectorAll("figure svg")) {
    const facts = svg.querySelector("[data-scales]");
    const lines = [...svg.querySelectorAll("[data-series]")];
    if (!facts || lines.length === 0) continue;
    const [x, y, unit] = facts.dataset.scales.split(";");
    const [left, top, width, height] = facts.dataset.plot.split(" ").map(Number);
    const places = lines.map((line) => {
      const pairs = line.getAttribute("d").match(/[\d.]+ [\d.]+/g) || [];
      const name = svg.querySelector(`[data-name="${line.dataset.series}"]`).textContent;
      return { name, points: pairs.map((pair) => pair.split(" ").map(Number)) };
    });
    const readout = document.createElement("div");
    readout.className = "readout";
    readout.hidden = true;
    svg.parentElement.append(readout);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const found = new Map();
      for (const { name, points } of places) {
        const [distance, nearest] = points
          .map((point) => [Math.abs(point[0] - at), point])
          .reduce((one, other) => (other[0] < one[0] ? other : one));
        if (distance < 12) found.set(name, inverse(y, 1 - (nearest[1] - top) / height));
      }
      const part = (at - left) / width;
      readout.hidden = found.size === 0 || part < 0 || part > 1;
      const where = inverse(x, Math.min(1, Math.max(0, part)));
      const head = x.startsWith("time") ? time(where) : `${short(where)} %`;
      readout.textContent = [head, ...[...found].map(([name, value]) => `${name} ${short(value)} ${unit}`)].join(" · ");
    });
    svg.addEventListener("pointerleave", () => { readout.hidden = true; });
  }
})();
