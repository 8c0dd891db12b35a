"""The one place that holds the version, and the address of the project."""

__version__ = "0.1.0"
PROJECT_URL = "https://spimpack-tasks.readthedocs.io"
