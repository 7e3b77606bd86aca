"""Content analysis of answers: a codebook, coders that apply it, and how far they agree."""
