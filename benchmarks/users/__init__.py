"""What users wait for: nbgrader's commands over ngshare, over 0.6.0, and in a local directory."""
