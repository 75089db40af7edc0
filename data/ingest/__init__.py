"""How telemetry gets in: snapshots are found, read, checked, taken in exactly once, or quarantined with a reason."""
