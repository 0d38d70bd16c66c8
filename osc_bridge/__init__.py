"""OSC <-> engine: DAWs ask for generations by Open Sound Control, and hear how far they are and where the files lie."""
