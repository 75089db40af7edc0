"""Anomalies in series, and what explains them."""
