# /opt/tljh/config/jupyterhub_config.d/ngshare_service.py
from pathlib import Path

c.JupyterHub.services.append(
    {
        "name": "ngshare",
        "url": "http://127.0.0.1:10101",
        "command": [
            "/opt/tljh/hub/bin/ngshare",
            "--database=sqlite:////srv/ngshare/ngshare.db",
            "--admins=alice",  # who may create courses; more names after commas
        ],
        "api_token": Path("/srv/ngshare/token").read_text().strip(),
        "oauth_no_confirm": True,
    }
)
# So that people may open ngshare's pages.
c.JupyterHub.load_roles.append(
    {"name": "user", "scopes": ["self", "access:services!service=ngshare"]},
)
