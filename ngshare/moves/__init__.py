"""Whole sites and courses in and out: nbgrader's exchange directory, and archives of a course.

Admins run this on the database, whether the service runs or not (moving_commands).
"""
