"""What llmaudit is compared with, each in the way that its users call it."""
