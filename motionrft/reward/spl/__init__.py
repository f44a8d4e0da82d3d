"""Self-refinement preference learning: a reward learns from its own failed retrievals."""
