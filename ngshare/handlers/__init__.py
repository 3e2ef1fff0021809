"""HTTP: what is the same for every call, then a file for each resource."""
