"use strict";

// A figure is drawn when it comes near the screen: a page may hold dozens.
const charts = [...document.querySelectorAll(".chart")].map((element) => ({
  element,
  plot: element.querySelector(".plot"),
  legend: element.querySelector(".legend"),
  section: element.closest("section"),
  figures: JSON.parse(element.querySelector("script").textContent),
  chosen: 0,
  drawn: false,
}));

// By section, the names that are hidden: what is hidden in one chart is hidden in those beside it.
const hidden = new Map(charts.map((chart) => [chart.section, new Set()]));

const isTouch = window.matchMedia("(pointer: coarse)").matches;

function draw(chart) {
  const { data, layout } = chart.figures[chart.chosen];
  const off = hidden.get(chart.section);
  const traces = data.map((trace) => ({ ...joined(trace), visible: !off.has(nameOf(trace)) }));
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  };
  const shown = isTouch ? { ...layout, dragmode: false } : layout; // a finger scrolls the page
  chart.drawn = true;
  chart.plot.style.minHeight = `${layout.height}px`;
  drawLegend(chart, data, off);
  return Plotly.react(chart.plot, traces, shown, config);
}

// What a trace is shown and hidden with.
function nameOf(trace) {
  return typeof trace.meta === "string" ? trace.meta : null;
}

// The hover texts of a matrix: rows and columns say theirs once, and are joined here.
function joined(trace) {
  if (trace.type !== "heatmap") return trace;
  const { value, rows, columns, serving, undefined: undefinedCells } = trace.meta;
  const without = undefinedCells && new Set(undefinedCells.map(([row, column]) => `${row} ${column}`));
  const roles = new Map();
  for (const [row, column, role] of serving) {
    const key = `${row} ${column}`;
    roles.set(key, [...(roles.get(key) ?? []), role]);
  }
  const text = rows.map((ofRow, row) =>
    columns.map((ofColumn, column) => {
      if (ofColumn === null) return "";
      const key = `${row} ${column}`;
      const number = trace.z[row][column] ?? (without === null || without.has(key) ? "undefined" : "not evaluated");
      const serves = roles.get(key);
      return [`<b>${value} ${number}</b>`, ofRow, ofColumn, ...(serves ? [serves.join(" and ")] : [])].join("<br>");
    }),
  );
  return { ...trace, text };
}

// The legend: buttons, which keyboards and screen readers reach, in place of plotly's.
function drawLegend(chart, data, off) {
  const traces = data.filter((trace) => nameOf(trace) !== null && trace.showlegend !== false);
  chart.legend.replaceChildren(
    ...traces.map((trace) => {
      const name = nameOf(trace);
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!off.has(name)));
      button.append(swatch(trace), name);
      button.addEventListener("click", () => toggle(chart.section, name));
      button.addEventListener("dblclick", () => isolate(chart.section, name, traces.map(nameOf)));
      return button;
    }),
  );
}

function toggle(section, name) {
  const off = hidden.get(section);
  if (!off.delete(name)) off.add(name);
  apply(section);
}

// A double click shows one alone or, where it is alone already, all.
function isolate(section, name, names) {
  const off = hidden.get(section);
  const alone = !off.has(name) && names.every((other) => other === name || off.has(other));
  for (const other of names) off.delete(other);
  if (!alone) for (const other of names) if (other !== name) off.add(other);
  apply(section);
}

function apply(section) {
  const off = hidden.get(section);
  for (const chart of charts.filter((each) => each.section === section && each.drawn)) {
    const visible = chart.figures[chart.chosen].data.map((trace) => !off.has(nameOf(trace)));
    Plotly.restyle(chart.plot, { visible });
    for (const button of chart.legend.children) {
      button.setAttribute("aria-pressed", String(!off.has(button.lastChild.textContent)));
    }
  }
}

// The outlines of marks, in a square from -1 to 1.
const SHAPES = {
  circle: "M-1,0A1,1 0 1 1 1,0A1,1 0 1 1 -1,0Z",
  square: "M-.9,-.9H.9V.9H-.9Z",
  "triangle-up": "M0,-1L1,.8H-1Z",
  diamond: "M0,-1.1L1.1,0L0,1.1L-1.1,0Z",
  "triangle-down": "M0,1L1,-.8H-1Z",
  cross: "M-.4,-1H.4V-.4H1V.4H.4V1H-.4V.4H-1V-.4H-.4Z",
  x: "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",
  "triangle-left": "M-1,0L.8,1V-1Z",
  "triangle-right": "M1,0L-.8,1V-1Z",
  hexagon: "M-.5,-.87H.5L1,0L.5,.87H-.5L-1,0Z",
  "line-ns-open": "M-.1,-1H.1V1H-.1Z",
};
const DASHES = { dash: "5 3", dot: "2 2", dashdot: "5 2 1 2", longdash: "8 3", longdashdot: "8 2 1 2" };

function swatch(trace) {
  const svg = svgElement("svg", { width: 26, height: 12, viewBox: "-13 -6 26 12", "aria-hidden": "true" });
  const { line, marker } = trace;
  if (trace.type === "bar") {
    svg.append(svgElement("rect", { x: -8, y: -5, width: 16, height: 10, fill: marker.color }));
    return svg;
  }
  if (trace.mode.includes("lines")) {
    const stroke = { stroke: line.color, "stroke-width": 2, "stroke-dasharray": DASHES[line.dash] ?? "none" };
    svg.append(svgElement("path", { d: "M-13,0H13", ...stroke }));
  }
  if (trace.mode.includes("markers")) {
    const look = { fill: marker.color, stroke: marker.line?.color ?? marker.color, "stroke-width": 0.35 };
    svg.append(svgElement("path", { d: SHAPES[marker.symbol ?? "circle"], transform: "scale(4)", ...look }));
  }
  return svg;
}

function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// Tables: a click on a column's name sorts by it, numbers as numbers and best guesses at the end.
function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head, place) => {
    head.setAttribute("aria-sort", place !== column ? "none" : ascending ? "ascending" : "descending");
  });
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, key: keyOf(row.cells[column].textContent) }));
  rows.sort((a, b) => compare(a.key, b.key, ascending ? 1 : -1));
  body.append(...rows.map(({ row }) => row));
}

// "1,234.5 ± 2", "92%" and "-0.5" are numbers, "-" is nothing, and the rest is text.
function keyOf(text) {
  if (text === "" || text === "-") return null;
  const number = /^([-−]?[\d,]*\.?\d+(?:e[+-]?\d+)?)\s*(?:%|± .*)?$/.exec(text);
  return number ? Number(number[1].replaceAll(",", "").replace("−", "-")) : text;
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null); // nothing stands last, whichever way
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sortBy(table, column));
  });
}

for (const chart of charts) {
  const select = chart.element.querySelector("select");
  if (!select) continue;
  select.addEventListener("change", () => {
    chart.chosen = select.selectedIndex;
    chart.element.querySelectorAll("figcaption .files").forEach((files, place) => {
      files.hidden = place !== chart.chosen;
    });
    draw(chart);
  });
}

const near = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      near.unobserve(entry.target);
      draw(charts.find((chart) => chart.plot === entry.target));
    }
  },
  { rootMargin: "800px" },
);
for (const chart of charts) near.observe(chart.plot);
window.addEventListener("beforeprint", () => charts.filter((chart) => !chart.drawn).forEach(draw));
