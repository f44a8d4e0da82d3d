"""Read BVH and GLB files with Blender: `PYTHON blender.py OUT FPS FILE...`, PYTHON one that has `bpy`.

Writes OUT/NAME.npy, (T, 22, 3) joints in metres, Y up, as Blender poses them. BVH is in centimetres.
"""

import sys
from pathlib import Path

import bpy
import numpy as np

NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle"),
    *("right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)


def joints_of(file, fps):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = fps
    if file.suffix == ".bvh":
        bpy.ops.import_anim.bvh(filepath=str(file), global_scale=0.01, frame_start=0, rotate_mode="NATIVE")
    else:
        bpy.ops.import_scene.gltf(filepath=str(file))
    (body,) = (each for each in bpy.data.objects if each.type == "ARMATURE")
    first, last = (round(frame) for frame in body.animation_data.action.frame_range)
    frames = []
    for frame in range(first, last + 1):
        bpy.context.scene.frame_set(frame)
        frames.append([body.matrix_world @ body.pose.bones[name].head for name in NAMES])
    x, y, z = np.moveaxis(np.array(frames), -1, 0)
    return np.stack((x, z, -y), axis=-1)


if __name__ == "__main__":
    out, fps, *files = sys.argv[1:]
    for file in map(Path, files):
        np.save(Path(out) / f"{file.name}.npy", joints_of(file, int(fps)))
