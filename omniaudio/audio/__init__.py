"""Sound: ambisonics, its conventions, its files, and what it is on headphones."""
