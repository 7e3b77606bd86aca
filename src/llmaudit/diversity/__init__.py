"""Kind diversity: from answers at several levels to what varies and what is lost."""
