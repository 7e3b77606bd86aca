"""Kind steering: from lists of words to what steering does and costs."""
