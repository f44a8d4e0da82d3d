"use strict";
// Hovering over a chart: a line at the nearest x, and the values there. The charts themselves are drawn already.

function nearest(points, x) {
  let best = 0;
  for (let i = 1; i < points.length; i++) {
    if (Math.abs(points[i] - x) < Math.abs(points[best] - x)) best = i;
  }
  return best;
}

function listenToChart(figure, chart) {
  const svg = figure.querySelector("svg");
  const hover = figure.querySelector(".hover");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  const hide = () => { tip.hidden = true; hover.classList.remove("on"); };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * chart.width;
    const line = chart.lines.reduce((a, b) => (b.x.length > a.x.length ? b : a));
    const at = nearest(line.px, x);
    showCross(hover, chart, line.px[at]);
    tip.replaceChildren(...tipRows(chart, line.x[at], line.px[at]));
    tip.hidden = false;
    const side = line.px[at] > chart.width / 2;
    const away = (side ? 1 - line.px[at] / chart.width : line.px[at] / chart.width) * box.width + 24;
    tip.style.left = side ? "auto" : `${away}px`;
    tip.style.right = side ? `${away}px` : "auto";
    tip.style.top = `${box.top - figure.getBoundingClientRect().top + 8}px`;
  });
  svg.addEventListener("pointerleave", hide);
}

function showCross(hover, chart, px) {
  hover.classList.add("on");
  const cross = hover.querySelector(".cross");
  for (const [name, value] of Object.entries({ x1: px, x2: px, y1: chart.top, y2: chart.bottom })) {
    cross.setAttribute(name, String(value));
  }
}

function tipRows(chart, x, px) {
  const head = document.createElement("b");
  head.textContent = `${chart.x_label} ${x}`;
  const rows = chart.lines.map((line, place) => {
    const row = document.createElement("span");
    const key = document.createElement("i");
    key.className = `key s${place % 6}`;
    const y = line.y[nearest(line.px, px)];
    row.append(key, `${line.name} ${y === null ? "–" : y} ${chart.unit}`);
    return row;
  });
  return [head, ...rows];
}

function listenToCharts(charts) {
  for (const figure of document.querySelectorAll(".chart")) listenToChart(figure, charts[Number(figure.dataset.chart)]);
}
