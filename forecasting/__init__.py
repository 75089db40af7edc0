"""What we expect: frames in, frames out, one composition root that publishes a run, and commands on the series of a
file.
"""
