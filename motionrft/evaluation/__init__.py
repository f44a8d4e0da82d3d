"""Metrics, evaluators and protocols."""
