"""Is the network healthy now, and where does it run out next?"""
