"""The rows of the op table, by kind of op; `tests/ops.py` collects them."""
