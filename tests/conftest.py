"""What all tests share."""

from __future__ import annotations

pytest_plugins = ["pytester"]

# A suite is collected wherever it lies; this one is an example, and has no model here.
collect_ignore_glob = ["plugin_example/*.audit.yaml"]
