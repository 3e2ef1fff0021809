"""The benchmark: ngshare beside its predecessor 0.6.0, in one run. See README.md."""
