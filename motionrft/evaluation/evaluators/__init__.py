"""Evaluators: the frozen judges whose embeddings the metrics are computed on."""

from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.evaluators.loading import load_evaluator
from motionrft.evaluation.evaluators.training import EvaluatorTraining, train_evaluator

__all__ = ["Evaluator", "EvaluatorTraining", "load_evaluator", "train_evaluator"]
