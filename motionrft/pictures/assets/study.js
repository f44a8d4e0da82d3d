"use strict";
// The raters' page: one pair at a time, three questions, answers kept in the browser until they are saved.

const page = JSON.parse(document.getElementById("data").textContent);
const theme = () => page.themes[themeName()];
const CHOICES = [["left", "A"], ["same", "equal"], ["right", "B"]];
const part = (selector) => document.querySelector(selector);

class Study {
  constructor() {
    this.player = new Player(part(".player"));
    this.rater = "";
    this.at = 0;
    this.answers = page.pairs.map((pair) => ({ pair: pair.id }));
    this.clips = new Map();
    part(".start").addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin(new FormData(event.target).get("rater").trim());
    });
    part(".next").addEventListener("click", () => this.go(this.at + 1));
    for (const back of document.querySelectorAll(".back")) back.addEventListener("click", () => this.go(this.at - 1));
    this.buildStages();
    this.buildQuestions();
  }

  begin(rater) {
    if (!rater) return;
    this.rater = rater;
    this.recall();
    part(".welcome").hidden = true;
    const open = this.answers.findIndex((answer) => !this.complete(answer));
    this.go(open < 0 ? page.pairs.length : open);
  }

  get slot() {
    return `motionrft-study-${page.study}-${this.rater}`;
  }

  // Browsers may refuse storage to a page opened from a file; the study then simply has no memory of an earlier visit.
  recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.slot) || "null");
      if (kept && kept.length === this.answers.length) this.answers = kept;
    } catch (refused) {
      console.info("answers are not kept between visits:", refused.message);
    }
  }

  keep() {
    try {
      localStorage.setItem(this.slot, JSON.stringify(this.answers));
    } catch (refused) {
      console.info("answers are not kept between visits:", refused.message);
    }
  }

  complete(answer) {
    return Object.keys(page.aspects).every((aspect) => answer[aspect]);
  }

  buildStages() {
    for (const name of ["A", "B"]) {
      const figure = document.createElement("figure");
      const label = document.createElement("figcaption");
      const canvas = document.createElement("canvas");
      label.textContent = name;
      canvas.dataset.wheel = "ctrl";
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `motion ${name}`);
      figure.append(label, canvas);
      part(".stages").append(figure);
    }
  }

  buildQuestions() {
    for (const [aspect, question] of Object.entries(page.aspects)) {
      const field = document.createElement("fieldset");
      const legend = document.createElement("legend");
      legend.textContent = question;
      field.append(legend);
      for (const [value, name] of CHOICES) {
        const label = document.createElement("label");
        const input = document.createElement("input");
        Object.assign(input, { type: "radio", name: aspect, value });
        input.addEventListener("change", () => this.answer(aspect, value));
        label.append(input, name);
        field.append(label);
      }
      part(".questions").append(field);
    }
  }

  answer(aspect, value) {
    const answer = this.answers[this.at];
    answer[aspect] = value;
    answer.seconds = Math.round((answer.seconds || 0) + (performance.now() - this.since) / 1000);
    this.since = performance.now();
    this.keep();
    part(".next").disabled = !this.complete(answer);
  }

  go(place) {
    this.at = Math.max(place, 0);
    const over = this.at >= page.pairs.length;
    part(".pair").hidden = over;
    part(".done").hidden = !over;
    if (over) this.finish();
    else this.show();
  }

  show() {
    const pair = page.pairs[this.at];
    const answer = this.answers[this.at];
    this.since = performance.now();
    part(".progress").textContent = `Pair ${this.at + 1} of ${page.pairs.length}`;
    part(".prompt-text").textContent = pair.text;
    part(".pair .back").disabled = this.at === 0;
    part(".next").disabled = !this.complete(answer);
    for (const input of document.querySelectorAll(".questions input")) input.checked = answer[input.name] === input.value;
    this.stage(pair);
    window.scrollTo(0, 0);
  }

  /** Put a pair on the two canvases; the stages are made once and change their clips. */
  stage(pair) {
    if (!this.clips.has(pair.id)) this.clips.set(pair.id, pair.clips.map((spec) => decodeClip(spec, page.bodies)));
    const view = new View(pair.scene);
    const canvases = document.querySelectorAll(".stages canvas");
    this.clips.get(pair.id).forEach((clip, side) => {
      const canvas = canvases[side];
      if (canvas.stage) Object.assign(canvas.stage, { clip, view });
      else this.player.add(new Stage(canvas, clip, view, theme, () => this.player.touch()));
    });
    this.player.playing = true;
    this.player.seek(0);
  }

  finish() {
    const text = JSON.stringify({ study: page.study, rater: this.rater, answers: this.answers }, null, 1);
    part(".text").value = text;
    const link = part(".save");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `ratings-${page.study}-${this.rater.replace(/[^\p{L}\p{N}_-]+/gu, "_")}.json`;
  }
}

window.study = new Study();
