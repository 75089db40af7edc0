"""What we know: the contract, the lake, its queries, and the ways telemetry gets in."""
