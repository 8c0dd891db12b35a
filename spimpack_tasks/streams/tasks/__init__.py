"""The task that writes frames."""
