"""What to order by when: run-out as a distribution, failures on the future, what-ifs, augment plans and their cost.
Pure: arrays and frames in, frames out.
"""
