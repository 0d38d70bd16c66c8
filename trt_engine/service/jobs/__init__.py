"""Jobs from their request to their end: the store, the queue of each device, their files and their sources."""
