"""The works, one file a kind. Each is a function that yields how far it is and returns what it has made."""
