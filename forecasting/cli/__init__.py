"""The commands of `python -m forecasting`, and the small files that they read and write."""
