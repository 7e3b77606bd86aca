"""The speed comparison with the peers, one command: `tox run -e bench`."""
