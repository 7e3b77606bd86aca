"""What a run will cost and what it can tell, before it starts."""

from __future__ import annotations
