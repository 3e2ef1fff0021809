"""/srv/jupyterhub/jupyterhub_config.py: a JupyterHub on one machine, which starts ngshare."""

from pathlib import Path

c = get_config()

c.JupyterHub.bind_url = "http://:8000/"
# As people type it. Notebook servers learn from it where ngshare is.
c.JupyterHub.public_url = "http://hub.example.org:8000/"
c.JupyterHub.cookie_secret_file = "/srv/jupyterhub/cookie_secret"
c.JupyterHub.db_url = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"

# Everybody who has a password on this machine.
c.Authenticator.allow_all = True

c.JupyterHub.services = [
    {
        "name": "ngshare",
        "url": "http://127.0.0.1:10101",
        "command": [
            "/opt/jupyterhub/bin/ngshare",
            "--database=sqlite:////srv/ngshare/ngshare.db",
            "--admins=alice",  # who may create courses; more names after commas
        ],
        "api_token": Path("/srv/jupyterhub/ngshare_token").read_text().strip(),
        "oauth_no_confirm": True,
    }
]

# So that people may open ngshare's pages.
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=ngshare"]},
]
