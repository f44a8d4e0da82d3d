"""NVIDIA Kimodo's skeletons, features and constraints: SOMA (77 joints outside, 30 inside), Unitree G1 (34), SMPL-X (22).

`skeletons`: names, parents, rest poses, which joint is ours; `skeletons.safetensors` with its NOTICE holds the numbers of
others. `features`: the network's 369, 417 or 273 numbers a frame, with `smooth_root` for their path; `ours`: to and from
our joints and rotations; `constraints`: what motions are held to. `g1`, `g1_fit`: MuJoCo's numbers of the robot.
`retarget`: our motions on SOMA. They stand here, and not in `motionrft.skeleton`, because every reader and writer of
Kimodo's files and its generator need them together.
"""
