"""The in-process engine on Hugging Face transformers."""
