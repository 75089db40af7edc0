"""Many series side by side on one time axis: masking, events, holidays and local time."""
