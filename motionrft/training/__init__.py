"""The training loop and all that keeps a run safe; knows no diffusion."""
