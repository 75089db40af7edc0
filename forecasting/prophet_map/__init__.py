"""The exact maximum a posteriori of Prophet's model, for many series at once, in NumPy alone."""
