"""What does this region or site carry, what should it carry, and what is off?"""
