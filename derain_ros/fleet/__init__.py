"""De-raining of many inputs on the machines of a Ray cluster."""
