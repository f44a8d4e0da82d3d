"use strict";
// The clock: plays, pauses, scrubs, and asks the visible stages to draw when something changed.

class Player {
  /** `bar` is the element with the controls (see player.html's class names); stages are added as they are made. */
  constructor(bar) {
    this.bar = bar;
    this.stages = [];
    this.time = 0;
    this.speed = 1;
    this.playing = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.dirty = true;
    this.onTime = [];
    this.part = (name) => bar.querySelector(`.${name}`);
    this.watch = new IntersectionObserver((entries) => {
      for (const entry of entries) entry.target.stage.visible = entry.isIntersecting;
      this.touch();
    }, { rootMargin: "80px" });
    this.listen();
    requestAnimationFrame((now) => this.tick(now));
  }

  add(stage) {
    this.stages.push(stage);
    stage.canvas.stage = stage;
    this.watch.observe(stage.canvas);
    this.touch();
  }

  get seconds() {
    const shown = this.stages.filter((stage) => stage.visible);
    return Math.max(...(shown.length ? shown : this.stages).map((stage) => stage.clip.seconds), 0.05);
  }

  touch() {
    this.dirty = true;
  }

  listen() {
    this.part("play").addEventListener("click", () => this.toggle());
    this.part("scrub").addEventListener("input", (event) => {
      this.playing = false;
      this.seek(event.target.value / 1000 * this.seconds);
    });
    this.part("speed").addEventListener("change", (event) => { this.speed = Number(event.target.value); });
    this.part("reset").addEventListener("click", () => {
      new Set(this.stages.map((stage) => stage.view)).forEach((view) => view.reset());
      this.touch();
    });
    document.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("resize", () => this.touch());
    window.addEventListener("beforeprint", () => this.stages.forEach((stage) => stage.drawStrip()));
    window.addEventListener("afterprint", () => this.drawAll());
    document.addEventListener("themechange", () => this.drawAll());
  }

  key(event) {
    if (event.target.closest("input:not([type=range]), select, textarea, button, a, summary")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === " ") this.toggle();
    else if (step && this.stages.length) {
      this.playing = false;
      this.seek(this.time + step / this.stages[0].clip.fps);
    } else return;
    event.preventDefault();
  }

  toggle() {
    this.playing = !this.playing;
    this.touch();
  }

  seek(time) {
    this.time = Math.min(Math.max(time, 0), this.seconds);
    this.touch();
  }

  tick(now) {
    const passed = Math.min((now - (this.last ?? now)) / 1000, 0.1);
    this.last = now;
    if (this.playing) this.advance(passed);
    if (this.dirty || this.playing) this.draw(this.stages.filter((stage) => stage.visible));
    requestAnimationFrame((next) => this.tick(next));
  }

  /** Move the clock; after the end the last pose stays for half a second before the motion starts again. */
  advance(passed) {
    this.time += passed * this.speed;
    if (this.time > this.seconds + 0.5 * this.speed) this.time = 0;
  }

  draw(stages) {
    const time = Math.min(this.time, this.seconds);
    for (const stage of stages) stage.draw(time);
    this.dirty = false;
    this.show(time);
    for (const listener of this.onTime) listener(time);
  }

  drawAll() {
    this.draw(this.stages);
  }

  show(time) {
    const play = this.part("play");
    if (play.dataset.state !== String(this.playing)) {
      play.dataset.state = String(this.playing);
      play.setAttribute("aria-label", this.playing ? "Pause" : "Play");
      play.textContent = this.playing ? "❚❚" : "►";
    }
    this.part("scrub").value = String(Math.round(time / this.seconds * 1000));
    this.part("clock").textContent = `${time.toFixed(2)} / ${this.seconds.toFixed(2)} s`;
  }
}
