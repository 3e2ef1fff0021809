# ngshare, behind nginx: the Hub only has to know where it is.
from pathlib import Path

c.JupyterHub.services.append(
    {
        "name": "ngshare",
        "url": "http://127.0.0.1:10100",
        "api_token": Path("/srv/jupyterhub/ngshare_token").read_text().strip(),
        "oauth_no_confirm": True,
    }
)
# So that people may open ngshare's pages. If your configuration has the role "user" already, add
# the second scope there instead.
c.JupyterHub.load_roles.append(
    {"name": "user", "scopes": ["self", "access:services!service=ngshare"]},
)
