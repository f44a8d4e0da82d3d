"""Fine-tuning by reward: one short file a method, and the trainer that brings everything together."""
