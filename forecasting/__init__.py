"""What we expect: frames in, frames out, and one composition root that publishes a run."""
