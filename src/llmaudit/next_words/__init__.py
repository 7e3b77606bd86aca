"""Kind next_token: how far next-word distributions differ between groups and between names."""
