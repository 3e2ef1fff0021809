# ngshare, which systemd runs: the Hub only has to know where it is.
c.JupyterHub.services.append(
    {
        "name": "ngshare",
        "url": "http://127.0.0.1:10101",
        "api_token": open("/srv/jupyterhub/ngshare_token").read().strip(),
        "oauth_no_confirm": True,
    }
)
# So that people may open ngshare's pages.
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=ngshare"]},
]
