"""What another form of a model loses: the parts of the kind fidelity."""

from __future__ import annotations

__all__: list[str] = []
