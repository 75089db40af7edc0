"""The lake: Delta tables of Parquet at pinned versions, DuckDB queries over them, and rollups by hour and day."""
