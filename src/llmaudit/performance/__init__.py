"""How fast a model is and what memory it takes: launches, their order, and what is computed from them."""
