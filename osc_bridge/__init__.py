"""OSC <-> engine. Nothing is here yet: this package gets its turn in a later issue."""
