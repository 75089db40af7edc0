"""One module for each page; its docstring states the question that the page answers."""
