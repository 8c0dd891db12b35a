"""Running a packaging in a process of its own, which can be watched and stopped."""
