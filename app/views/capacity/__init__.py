"""When does each site run out, what must be ordered by when, what if a site fails or demand grows?"""
