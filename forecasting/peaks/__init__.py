"""The peak and P95 of each coming week: simulated paths, their calibration, and the quantiles that a run publishes."""
