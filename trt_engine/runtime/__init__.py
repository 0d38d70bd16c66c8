"""What runs a model's graphs: one interface, one module for each back-end."""
