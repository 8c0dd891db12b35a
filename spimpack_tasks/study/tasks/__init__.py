"""The tasks that join the stages of a study."""
