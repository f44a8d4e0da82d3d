"""Pictures of motion: figures, strips, video, the 3D page, the report."""
