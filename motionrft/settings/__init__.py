"""Settings: pydantic models, YAML layers, where preset files lie, and messages about what is wrong. Knows no model."""
