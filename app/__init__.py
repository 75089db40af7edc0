"""What we show: pages, and the service routes beside them."""
