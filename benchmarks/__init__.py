"""How fast, in how much memory: `python -m benchmarks` on a CPU, `python -m benchmarks.gpu FOLDER` on a GPU."""
