"""unveil: person re-identification when the body is hidden and the clothes have changed."""

__version__ = "0.1.0"
