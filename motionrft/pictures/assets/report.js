"use strict";
// The report: prompts with their motions side by side, sorted by gain; charts that answer to the pointer.

const page = JSON.parse(document.getElementById("data").textContent);
const theme = () => page.themes[themeName()];
const FIRST_SHOWN = 6;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function promptCard(prompt, player) {
  const card = element("li", "prompt");
  const head = element("div", "prompt-head");
  const gain = element("span", `gain ${prompt.gain > 0 ? "better" : prompt.gain < 0 ? "worse" : ""}`, prompt.gain_text);
  if (prompt.scores.length) gain.title = prompt.scores.join(" → ");
  head.append(element("p", "text", prompt.text), ...(prompt.gain_text ? [gain] : []));
  const stages = element("div", "stages");
  const view = new View(prompt.scene);
  prompt.clips.forEach((spec, column) => {
    const figure = element("figure", "stage");
    const label = element("figcaption", `c${column}`, spec.caption);
    if (prompt.scores[column]) label.append(element("small", "", ` ${prompt.scores[column]}`));
    const canvas = element("canvas");
    canvas.dataset.wheel = "ctrl";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${spec.caption}: ${prompt.text}`);
    figure.append(label, ...marks(prompt.marks[column] || []), canvas);
    stages.append(figure);
    player.add(new Stage(canvas, decodeClip(spec, page.bodies), view, theme, () => player.touch()));
  });
  card.append(head, stages, curves(prompt, player));
  return card;
}

/** What the prompt tells, and whether this motion shows it. */
function marks(told) {
  if (!told.length) return [];
  const list = element("ul", "marks");
  for (const mark of told) {
    const item = element("li", mark.right ? "better" : "worse", `${mark.right ? "✓" : "✗"} ${mark.text}`);
    item.append(element("span", "said", mark.right ? ", as told" : ", not as told"));
    list.append(item);
  }
  return [list];
}

/** Sparklines of all columns with a line at the moment that plays. */
function curves(prompt, player) {
  const row = element("div", "curves");
  const seconds = Math.max(...prompt.clips.map((clip) => (clip.frames - 1) / clip.fps), 0.05);
  for (const curve of prompt.curves) {
    const box = element("div", "curve");
    const now = '<line class="now" x1="0" x2="0" y1="0" y2="30"/>';
    const paths = curve.paths.map((path, column) => `<path class="c${column}" d="${path}"/>`).join("");
    box.innerHTML = `<svg viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">${paths}${now}</svg>`;
    box.prepend(element("span", "", `${curve.name}, up to ${curve.top} ${curve.unit}`));
    const line = box.querySelector(".now");
    player.onTime.push((time) => {
      const x = String(Math.min(time / seconds, 1) * 100);
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    });
    row.append(box);
  }
  return row;
}

function buildPrompts() {
  const section = document.querySelector(".prompts");
  if (!section) return null;
  const player = new Player(section.querySelector(".player"));
  const list = section.querySelector(".prompt-list");
  const cards = page.prompts.map((prompt) => promptCard(prompt, player));
  const columns = page.prompts[0].clips.length;
  list.style.setProperty("--columns", String(columns));
  list.classList.toggle("several", columns > 2);
  const more = section.querySelector(".more");
  const shown = { all: cards.length <= FIRST_SHOWN, worst: false };
  const show = (change) => {
    Object.assign(shown, change);
    const order = shown.worst ? [...cards].reverse() : cards;
    order.forEach((card, place) => card.classList.toggle("later", !shown.all && place >= FIRST_SHOWN));
    list.replaceChildren(...order);
    more.hidden = shown.all;
    for (const button of section.querySelectorAll(".order button")) {
      button.setAttribute("aria-pressed", String(button.classList.contains("worst") === shown.worst));
    }
    player.touch();
  };
  for (const button of section.querySelectorAll(".order button")) {
    button.addEventListener("click", () => show({ worst: button.classList.contains("worst") }));
  }
  more.textContent = `Show all ${cards.length}`;
  more.addEventListener("click", () => show({ all: true }));
  window.addEventListener("beforeprint", () => show({ all: true }));
  show({});
  return player;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const text = button.parentElement.querySelector("code");
  const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
  // A page opened from a file may have no clipboard; then the text is selected for the reader to copy.
  const select = () => { getSelection().selectAllChildren(text); };
  if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(done, select);
  else select();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest(".more-rows");
  if (!button) return;
  button.closest("tbody").classList.add("all");
  button.remove();
});

window.addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});

window.player = buildPrompts();
listenToCharts(page.charts);
