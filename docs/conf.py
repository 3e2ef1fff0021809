"""Configuration of Sphinx."""

from pathlib import Path

from ngshare import __version__
from ngshare.app import NgShare

project = "ngshare"
author = "The ngshare developers"
copyright = "2026, the ngshare developers"
release = version = __version__
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# The manual is searched for words of messages and commands as the log and the shell have them.
smartquotes = False
html_title = "ngshare"
html_theme = "pydata_sphinx_theme"
html_show_sourcelink = False
html_theme_options = {"navbar_center": [], "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"**": ["every-page.html"]}
templates_path = ["templates"]
exclude_patterns = ["_build"]


def write_options(_app: object) -> None:
    """Make the page of options from their own help texts."""
    lines = [
        "# Options",
        "",
        "On the command line as `--NgShare.name=value`, or in the configuration file as",
        "`c.NgShare.name = value`. The file is `ngshare_config.py` in the working directory, or",
        "the one that `--config` names; `ngshare --generate-config` writes one with every option.",
        "",
    ]
    flags = {name: text for name, (_, text) in NgShare.flags.items()}
    short = {target.split(".")[1]: f"--{name}" for name, target in NgShare.aliases.items()}
    for name, trait in sorted(NgShare.class_own_traits(config=True).items()):
        lines += [f"## {name}", "", " ".join(trait.help.split()), ""]
        lines += [f"Default: `{trait.default_value_repr()}`."]
        if name in short:
            lines += [f"Also: `{short[name]}`."]
        lines += [""]
    lines += ["## Flags", "", "| flag | meaning |", "|---|---|"]
    lines += [f"| `--{name}` | {text} |" for name, text in flags.items() if len(name) > 1]
    lines += ["", "## Commands", "", "Each has `--help`. Without a command `ngshare` serves.", ""]
    lines += ["| command | |", "|---|---|"]
    lines += [f"| `ngshare {name}` | {text} |" for name, (_, text) in NgShare.subcommands.items()]
    lines += ["| `ngshare-course-management` | [Courses and rosters](course-management.md) |"]
    Path(__file__).with_name("options.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app: object) -> None:
    app.connect("builder-inited", write_options)
