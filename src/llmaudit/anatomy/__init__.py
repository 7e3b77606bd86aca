"""What a model is made of and how it looks at a few sentences: one room per question."""
