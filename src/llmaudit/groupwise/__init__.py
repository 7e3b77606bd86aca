"""What is measured of answers to prompts that differ in the group they name: one room per question."""
