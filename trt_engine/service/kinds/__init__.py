"""The kinds of jobs, one file each: request, input files, lane, result, and what the worker does.

`registry` lists them. `request`, `result` and `attempt` hold what they have in common.
"""
