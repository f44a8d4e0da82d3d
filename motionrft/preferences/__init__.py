"""Preferences over events: prompts that tell what shall happen, in which order and how often; candidates; judges; pairs.

After AToM (Han et al. 2024), which asks a vision-language model whether every event of a text happens (integrity), in
the order told (temporal) and as often as told (frequency). The prompts, rules, questions and scores here are ours: the
authors' are not published.
"""
