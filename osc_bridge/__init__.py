"""OSC to service: DAWs request generations by Open Sound Control, and receive their progress and results."""
