"""The built-in kinds, one file each; none imports another."""
