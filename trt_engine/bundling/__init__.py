"""From a model in torch to a bundle with engines."""
