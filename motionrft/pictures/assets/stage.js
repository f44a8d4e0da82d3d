"use strict";
// One canvas with one motion: it draws itself at a moment, and dragging it turns the shared view.

/** The view that the stages of one comparison share. */
class View {
  constructor(scene) {
    this.scene = scene;
    this.reset();
  }

  reset() {
    Object.assign(this, { yaw: this.scene.yaw, pitch: this.scene.pitch, zoom: 1, panX: 0, panY: 0 });
  }

  orbit(dx, dy) {
    this.yaw -= dx * 0.008;
    this.pitch = Math.min(Math.max(this.pitch + dy * 0.006, -0.2), 1.55);
  }

  zoomBy(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.3), 6);
  }

  pan(dx, dy, scale) {
    this.panX += dx / scale;
    this.panY -= dy / scale;
  }
}

class Stage {
  constructor(canvas, clip, view, theme, changed) {
    Object.assign(this, { canvas, clip, view, theme, changed });
    this.pen = canvas.getContext("2d");
    this.raster = new FigureRaster();
    this.quality = 1;
    this.visible = true;
    this.pointers = new Map();
    this.listen();
  }

  /** Draw the motion at `time` seconds; slow machines get coarser pictures instead of a stutter. */
  draw(time) {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const started = performance.now();
    const density = Math.max(Math.min(window.devicePixelRatio || 1, 2) * this.quality, 0.75);
    const width = Math.round(box.width * density), height = Math.round(box.height * density);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.paint(time, width, height);
    const spent = performance.now() - started;
    this.cost = 0.9 * (this.cost ?? 5) + 0.1 * spent;
    if (this.cost > 22 && this.quality > 0.5) {
      this.quality -= 0.1;
      this.cost = 5;
    }
  }

  paint(time, width, height) {
    this.pen.clearRect(0, 0, width, height);
    const eye = this.pose(time, width, height);
    this.metre = eye.scale / (width / this.canvas.getBoundingClientRect().width);
  }

  /** One pose in a picture of this size, at the pen's origin. */
  pose(time, width, height) {
    const { pen, clip, view } = this;
    const theme = this.theme();
    const centre = trackAt(clip, time);
    const eye = new Eye(view.scene, view, width, height, centre);
    const pose = poseAt(clip, time);
    paintFloor(pen, eye, view.scene.ground, centre, theme);
    paintPath(pen, eye, clip, time, view.scene.ground, centre, theme);
    paintShadow(pen, eye, clip, pose, view.scene.ground, theme);
    this.raster.paint(pen, eye, clip, pose, width, height, theme);
    return eye;
  }

  /** On paper a motion is its poses at a sixth, the middle and five sixths of its time. */
  drawStrip() {
    const { pen, canvas } = this;
    canvas.width = 720;
    canvas.height = 540;
    for (let place = 0; place < 3; place++) {
      pen.save();
      pen.beginPath();
      pen.rect(place * 240, 0, 240, 540);
      pen.clip();
      pen.translate(place * 240, 0);
      this.pose((2 * place + 1) / 6 * this.clip.seconds, 240, 540);
      pen.restore();
    }
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.act(() => this.view.reset()));
    canvas.addEventListener("wheel", (event) => {
      // In a long page the wheel must go on scrolling; there, zooming asks for Ctrl (which is also what a pinch sends).
      if (canvas.dataset.wheel === "ctrl" && !event.ctrlKey) return;
      event.preventDefault();
      this.act(() => this.view.zoomBy(Math.exp(-event.deltaY * 0.0012)));
    }, { passive: false });
  }

  act(change) {
    change();
    this.changed();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const dx = event.clientX - before[0], dy = event.clientY - before[1];
    if (this.pointers.size === 2) this.pinch(event, dx, dy);
    else if (event.shiftKey || event.buttons & 6) this.act(() => this.view.pan(dx, dy, this.metre));
    else this.act(() => this.view.orbit(dx, dy));
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  /** Two fingers: their distance zooms, their common way moves the picture. */
  pinch(event, dx, dy) {
    const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, spot]) => spot);
    const [x, y] = this.pointers.get(event.pointerId);
    const before = Math.hypot(x - other[0], y - other[1]);
    const after = Math.hypot(event.clientX - other[0], event.clientY - other[1]);
    this.act(() => {
      if (before > 0) this.view.zoomBy(after / before);
      this.view.pan(dx / 2, dy / 2, this.metre);
    });
  }
}
