"use strict";
// The viewer page: every motion on a stage of its own, one clock and one view for all.

const page = JSON.parse(document.getElementById("data").textContent);
const theme = () => page.themes[themeName()];

function buildViewer() {
  const player = new Player(document.querySelector(".player"));
  const view = new View(page.scene);
  const wall = document.querySelector(".stages");
  wall.style.setProperty("--columns", String(Math.min(page.clips.length, 4)));
  for (const spec of page.clips) {
    const card = document.createElement("figure");
    card.className = "stage";
    const caption = document.createElement("figcaption");
    caption.textContent = spec.caption;
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", spec.caption || "a motion");
    card.append(caption, canvas);
    wall.append(card);
    player.add(new Stage(canvas, decodeClip(spec, page.bodies), view, theme, () => player.touch()));
  }
  return player;
}

window.player = buildViewer();
