"""Schedules, one denoising step, samplers, plans and the loop over denoising steps."""
