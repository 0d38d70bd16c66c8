"""From a model to graphs, engines and a running service."""

import omniaudio  # noqa: F401 - before any back-end is loaded
