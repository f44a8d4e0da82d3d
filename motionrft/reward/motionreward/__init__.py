"""MotionReward: network, losses, noise, adapters and training."""
