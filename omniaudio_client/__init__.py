"""The client of the service, and definitions that both share. Standard library only: it ships in the extension."""
