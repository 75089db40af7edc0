"""The Capacity page, one sheet at a time."""
