"""The jobs, one file each: a generator that yields its progress and returns an Outcome."""
