"""NVIDIA Kimodo's skeletons and what its files say: SOMA (77 joints outside, 30 inside), Unitree G1 (34), SMPL-X (22).

The tables stand here, and not in `motionrft.skeleton`, because every reader and writer of Kimodo's files and the
generator's own representation need them together: `skeletons` (names, parents, rest poses, which joint is ours), `g1`
(MuJoCo's numbers of the robot), and in `skeletons.safetensors` with its NOTICE the numbers of others.
"""
