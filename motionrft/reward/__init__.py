"""Rewards: MotionReward and its relatives, behind one interface."""
