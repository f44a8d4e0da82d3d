"""Pydantic models of every preset; imports no torch."""
