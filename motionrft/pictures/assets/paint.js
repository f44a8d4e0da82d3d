"use strict";
// Draws one pose on its floor: the same capsules, light and depth as the still pictures, pixel by pixel.

const EYE_DISTANCE = 6;
const FLOOR_RADIUS = 1.6;
const GRID_STEP = 0.5;
const LIGHT = [-0.42, 0.62, 0.66];

/** A pinhole camera; `view` is {yaw, pitch, zoom, panX, panY}, `scene` says what must be in sight. */
class Eye {
  constructor(scene, view, width, height, [targetX, targetZ]) {
    const sinY = Math.sin(view.yaw), cosY = Math.cos(view.yaw);
    const sinP = Math.sin(view.pitch), cosP = Math.cos(view.pitch);
    this.right = [cosY, 0, -sinY];
    this.up = [-sinY * sinP, cosP, -cosY * sinP];
    this.back = [sinY * cosP, sinP, cosY * cosP];
    const tall = (scene.high - scene.low) * Math.cos(scene.pitch);
    this.scale = view.zoom * Math.min(height / tall, width / (2 * scene.half_width));
    const target = [targetX, (scene.high + scene.low) / 2, targetZ];
    this.target = target.map((value, axis) => value - view.panX * this.right[axis] - view.panY * this.up[axis]);
    this.centre = [width / 2, height / 2];
  }

  /** Write pixel x, y, depth towards the eye and pixels a metre of one world point to `out` at `at`. */
  project(x, y, z, out, at) {
    const dx = x - this.target[0], dy = y - this.target[1], dz = z - this.target[2];
    const depth = dx * this.back[0] + dy * this.back[1] + dz * this.back[2];
    const pixels = this.scale * EYE_DISTANCE / Math.max(EYE_DISTANCE - depth, 0.1);
    out[at] = this.centre[0] + pixels * (dx * this.right[0] + dz * this.right[2]);
    out[at + 1] = this.centre[1] - pixels * (dx * this.up[0] + dy * this.up[1] + dz * this.up[2]);
    out[at + 2] = depth;
    out[at + 3] = pixels;
  }

  spot(x, y, z) {
    const out = [0, 0, 0, 0];
    this.project(x, y, z, out, 0);
    return out;
  }
}

function rgb(colour, alpha = 1) {
  return `rgba(${colour[0]}, ${colour[1]}, ${colour[2]}, ${alpha})`;
}

function paintFloor(pen, eye, ground, [x, z], theme) {
  const rim = [];
  for (let i = 0; i < 72; i++) {
    const angle = i / 36 * Math.PI;
    rim.push(eye.spot(x + FLOOR_RADIUS * Math.cos(angle), ground, z + FLOOR_RADIUS * Math.sin(angle)));
  }
  pen.fillStyle = rgb(theme.ground);
  pen.beginPath();
  rim.forEach((spot) => pen.lineTo(spot[0], spot[1]));
  pen.fill();
  pen.lineWidth = Math.max(0.006 * eye.scale, 0.75);
  for (const axis of [0, 1]) paintGrid(pen, eye, ground, [x, z], axis, theme);
}

function paintGrid(pen, eye, ground, centre, axis, theme) {
  const first = Math.ceil((centre[axis] - FLOOR_RADIUS) / GRID_STEP) * GRID_STEP;
  for (let at = first; at <= centre[axis] + FLOOR_RADIUS; at += GRID_STEP) {
    const half = Math.sqrt(Math.max(FLOOR_RADIUS ** 2 - (at - centre[axis]) ** 2, 0));
    let last = null;
    for (let i = 0; i <= 12; i++) {
      const other = centre[1 - axis] + half * (i / 6 - 1);
      const spot = axis === 0 ? eye.spot(at, ground, other) : eye.spot(other, ground, at);
      const away = Math.hypot(at - centre[axis], other - centre[1 - axis]) / FLOOR_RADIUS;
      if (last) {
        pen.strokeStyle = rgb(theme.grid, Math.max(1 - away ** 2, 0));
        pen.beginPath();
        pen.moveTo(last[0], last[1]);
        pen.lineTo(spot[0], spot[1]);
        pen.stroke();
      }
      last = spot;
    }
  }
}

/** The root's way on the floor: strong behind the person, pale ahead. */
function paintPath(pen, eye, clip, time, ground, centre, theme) {
  const [now] = frameAt(clip, time);
  pen.lineWidth = Math.max(0.018 * eye.scale, 1.5);
  pen.lineCap = "round";
  for (const [from, to, alpha] of [[0, now, 1], [now, clip.frames - 1, 0.35]]) {
    pen.strokeStyle = rgb(theme.path, alpha);
    pen.beginPath();
    let down = false;
    for (let t = from; t <= to; t++) {
      const at = t * clip.points * 3;
      const x = clip.values[at], z = clip.values[at + 2];
      const inside = Math.hypot(x - centre[0], z - centre[1]) < FLOOR_RADIUS * 0.95;
      const spot = eye.spot(x, ground, z);
      if (inside && down) pen.lineTo(spot[0], spot[1]);
      else if (inside) pen.moveTo(spot[0], spot[1]);
      down = inside;
    }
    pen.stroke();
  }
}

/** A soft shadow straight below the body. Only the blurred shadow of strokes far outside the canvas is seen. */
function paintShadow(pen, eye, clip, pose, ground, theme) {
  const aside = 10000;
  pen.save();
  pen.lineCap = "round";
  pen.shadowColor = rgb(theme.shadow, 0.5);
  pen.shadowBlur = 0.09 * eye.scale;
  pen.shadowOffsetX = aside;
  pen.strokeStyle = "#000";
  pen.beginPath();
  for (const [a, b] of clip.limbs) {
    const from = eye.spot(pose[3 * a], ground, pose[3 * a + 2]);
    const to = eye.spot(pose[3 * b], ground, pose[3 * b + 2]);
    pen.moveTo(from[0] - aside, from[1]);
    pen.lineTo(to[0] - aside, to[1]);
  }
  pen.lineWidth = 0.11 * eye.scale;
  pen.stroke();
  pen.restore();
}

/** A picture of the figure alone, kept between frames so that nothing is allocated while it plays. */
class FigureRaster {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.spots = new Float32Array(0);
  }

  /** Draw `pose` and put it onto `pen` (whose canvas is width x height pixels). */
  paint(pen, eye, clip, pose, width, height, theme) {
    this.resize(width, height);
    if (this.spots.length !== clip.points * 4) this.spots = new Float32Array(clip.points * 4);
    let near = -Infinity, far = Infinity;
    for (let p = 0; p < clip.points; p++) {
      eye.project(pose[3 * p], pose[3 * p + 1], pose[3 * p + 2], this.spots, 4 * p);
      near = Math.max(near, this.spots[4 * p + 2]);
      far = Math.min(far, this.spots[4 * p + 2]);
    }
    this.image.data.fill(0);
    this.depths.fill(-Infinity);
    // Far to near: a limb's soft edge then blends with what is really behind it.
    const order = clip.limbs.slice().sort((a, b) => this.middle(a) - this.middle(b));
    for (const limb of order) this.capsule(limb, near, Math.max(near - far, 0.3), theme);
    this.pen.putImageData(this.image, 0, 0);
    pen.drawImage(this.canvas, 0, 0);
  }

  resize(width, height) {
    if (this.image && this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.image = this.pen.createImageData(width, height);
    this.depths = new Float32Array(width * height);
  }

  middle([a, b]) {
    return this.spots[4 * a + 2] + this.spots[4 * b + 2];
  }

  /** One limb as a round, lit body: distance from the axis gives the normal, the normal gives the light. */
  capsule([a, b, radiusA, radiusB, side], near, span, theme) {
    const s = this.spots, width = this.canvas.width, height = this.canvas.height;
    const ax = s[4 * a], ay = s[4 * a + 1], az = s[4 * a + 2];
    const dx = s[4 * b] - ax, dy = s[4 * b + 1] - ay, dz = s[4 * b + 2] - az;
    const ra = radiusA * s[4 * a + 3], rb = radiusB * s[4 * b + 3];
    const reach = Math.max(ra, rb) + 1;
    const x0 = Math.max(Math.floor(Math.min(ax, ax + dx) - reach), 0);
    const x1 = Math.min(Math.ceil(Math.max(ax, ax + dx) + reach), width);
    const y0 = Math.max(Math.floor(Math.min(ay, ay + dy) - reach), 0);
    const y1 = Math.min(Math.ceil(Math.max(ay, ay + dy) + reach), height);
    const perLength = 1 / Math.max(dx * dx + dy * dy, 1e-9);
    const colour = theme[side], back = theme.background;
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        const px = x + 0.5 - ax, py = y + 0.5 - ay;
        const t = Math.min(Math.max((px * dx + py * dy) * perLength, 0), 1);
        const radius = ra + t * (rb - ra);
        const ox = px - t * dx, oy = py - t * dy;
        const distance2 = ox * ox + oy * oy;
        if (distance2 >= (radius + 0.5) * (radius + 0.5)) continue;
        const cover = Math.min(radius + 0.5 - Math.sqrt(distance2), 1);
        const towards = Math.sqrt(Math.max(1 - distance2 / (radius * radius), 0));
        const depth = az + t * dz + towards * (radiusA + t * (radiusB - radiusA));
        const pixel = y * width + x;
        if (depth <= this.depths[pixel]) continue;
        const light = Math.min(Math.max((ox * LIGHT[0] - oy * LIGHT[1]) / radius + towards * LIGHT[2], 0), 1);
        const shade = 0.5 + 0.58 * light - 0.16 * (1 - towards) ** 3;
        const haze = 0.3 * Math.min(Math.max((near - depth) / span, 0), 1);
        this.blend(4 * pixel, colour, back, shade, 70 * light ** 14, haze, cover);
        if (cover > 0.5) this.depths[pixel] = depth;
      }
    }
  }

  blend(at, colour, back, shade, gloss, haze, cover) {
    const data = this.image.data;
    const keep = data[at + 3] / 255;
    const alpha = cover + keep * (1 - cover);
    for (let c = 0; c < 3; c++) {
      const lit = Math.min(colour[c] * shade + gloss, 255);
      const value = lit + haze * (back[c] - lit);
      data[at + c] = (value * cover + data[at + c] * keep * (1 - cover)) / alpha;
    }
    data[at + 3] = 255 * alpha;
  }
}
