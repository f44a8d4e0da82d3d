"""Evaluation: which items, who judges, which numbers, and a result that carries its identity.

    evaluator = load_evaluator("builtin")                       # evaluators/: the frozen judges
    items = FixedItems.builtin("test")                          # items.py: what is to be made
    result = evaluate_generator(generator, reward, evaluator, items, seeds=range(5))   # generation.py
    rows = compare(before, result)                              # result.py: differences paired by seed

`metrics/` holds the field's metrics as pure functions of tensors.
"""
