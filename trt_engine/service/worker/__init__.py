"""The process that computes, and what passes between it and `jobs`."""
