"""What do we have, how complete is it, and how fresh?"""
