"""The properties: of scenes, of strips, and the preferences."""
