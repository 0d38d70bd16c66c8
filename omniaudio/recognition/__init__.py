"""From a 360° clip to a list of sources: what sounds in it, where, when and how large it is seen."""
