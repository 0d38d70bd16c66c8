"""HTTP: the routes, who may ask, what is answered, and the server under them."""
