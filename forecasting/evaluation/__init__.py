"""How good a forecast is: errors, backtests, the licence, and bands that hold what they say. Pure: arrays in, arrays
out.
"""
