"""The representations of motion and the conversions between them."""
