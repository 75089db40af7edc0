"""One package for each page: page.py answers the question that its docstring states, its parts stand beside it."""
