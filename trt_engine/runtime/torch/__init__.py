"""torch, by the model's own modules."""
