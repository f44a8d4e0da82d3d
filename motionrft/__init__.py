"""motionrft: reward fine-tuning of text-to-motion generators."""

__version__ = "0.1.0"
