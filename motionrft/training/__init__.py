"""What a training run needs besides mathematics: loop, optimiser, checkpoints, run folders, memory, seeds.

Knows no diffusion, no motion and no console. Import from the files themselves, so that the torch-free ones
stay so.
"""
