"""Reward fine-tuning: one short file a method, and the trainer."""
