"""What a text costs in tokens: counts, and estimates and exhibits made of them."""

from __future__ import annotations
