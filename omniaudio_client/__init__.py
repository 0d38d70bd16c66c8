"""The service's client, and what it and the service both know. Standard library only: it ships in the extension."""
