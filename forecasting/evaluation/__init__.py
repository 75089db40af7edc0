"""How good forecasts are, and what that makes of them."""
