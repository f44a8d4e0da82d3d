// Read BVH and GLB files with three.js: `node three.mjs THREE OUT FILE...`, THREE the folder of the npm package.
// Writes OUT/NAME.f64, the (T, 22, 3) joints in metres, Y up, as three.js poses them. BVH is in centimetres.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [three, out, ...files] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(path.resolve(three, name)));
globalThis.self = globalThis; // what the loader of glTF asks for outside a browser
const THREE = await load("build/three.module.js");
const { BVHLoader } = await load("examples/jsm/loaders/BVHLoader.js");
const { GLTFLoader } = await load("examples/jsm/loaders/GLTFLoader.js");
const NAMES = `pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot
  right_foot neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist
  right_wrist`.split(/\s+/);

async function opened(file) {
  const data = fs.readFileSync(file);
  if (file.endsWith(".bvh")) {
    const { skeleton, clip } = new BVHLoader().parse(data.toString());
    return { root: skeleton.bones[0], clip, scale: 0.01 };
  }
  const bytes = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const found = await new Promise((yes, no) => new GLTFLoader().parse(bytes, "", yes, no));
  return { root: found.scene, clip: found.animations[0], scale: 1 };
}

for (const file of files) {
  const { root, clip, scale } = await opened(file);
  const mixer = new THREE.AnimationMixer(root);
  const action = mixer.clipAction(clip);
  action.setLoop(THREE.LoopOnce);
  action.clampWhenFinished = true;
  action.play();
  const numbers = [];
  for (const time of clip.tracks[0].times) {
    mixer.setTime(time);
    root.updateMatrixWorld(true);
    for (const name of NAMES) {
      const joint = root.name === name ? root : root.getObjectByName(name);
      const place = new THREE.Vector3().setFromMatrixPosition(joint.matrixWorld);
      numbers.push(place.x * scale, place.y * scale, place.z * scale);
    }
  }
  const place = path.join(out, path.basename(file) + ".f64");
  fs.writeFileSync(place, Buffer.from(new Float64Array(numbers).buffer));
}
