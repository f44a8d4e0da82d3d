"use strict";
// Motions as the page holds them: int16 points, decoded once, read at any moment in between frames.

/** Decode one clip of the page's data: {data, frames, points, scale, offset, fps, body}. */
function decodeClip(spec, bodies) {
  const bytes = Uint8Array.from(atob(spec.data), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) {
    values[i] = view.getInt16(2 * i, true) * spec.scale + spec.offset[i % 3];
  }
  const clip = { ...spec, values, limbs: bodies[spec.body], pose: new Float32Array(spec.points * 3) };
  delete clip.data;
  clip.seconds = Math.max(clip.frames - 1, 0) / clip.fps;
  clip.track = followTrack(clip);
  return clip;
}

/** Points (P * 3) at `time` seconds, linear between frames; a clip that is over holds its last pose. */
function poseAt(clip, time) {
  const [first, blend] = frameAt(clip, time);
  const size = clip.points * 3;
  const a = first * size;
  const b = Math.min(first + 1, clip.frames - 1) * size;
  for (let i = 0; i < size; i++) {
    clip.pose[i] = clip.values[a + i] + blend * (clip.values[b + i] - clip.values[a + i]);
  }
  return clip.pose;
}

function frameAt(clip, time) {
  const at = Math.min(Math.max(time * clip.fps, 0), clip.frames - 1);
  return [Math.floor(at), at - Math.floor(at)];
}

/** Where the camera looks, frame by frame: the root's way on the floor, smoothed, so that steps stay visible. */
function followTrack(clip) {
  const width = 0.6 * clip.fps;
  const reach = Math.ceil(3 * width);
  const track = new Float32Array(clip.frames * 2);
  for (let t = 0; t < clip.frames; t++) {
    let sumX = 0, sumZ = 0, sum = 0;
    for (let k = -reach; k <= reach; k++) {
      const source = Math.min(Math.max(t + k, 0), clip.frames - 1) * clip.points * 3;
      const weight = Math.exp(-0.5 * (k / width) ** 2);
      sumX += weight * clip.values[source];
      sumZ += weight * clip.values[source + 2];
      sum += weight;
    }
    track[2 * t] = sumX / sum;
    track[2 * t + 1] = sumZ / sum;
  }
  return track;
}

function trackAt(clip, time) {
  const [first, blend] = frameAt(clip, time);
  const second = Math.min(first + 1, clip.frames - 1);
  const mix = (axis) => {
    const from = clip.track[2 * first + axis];
    return from + blend * (clip.track[2 * second + axis] - from);
  };
  return [mix(0), mix(1)];
}
