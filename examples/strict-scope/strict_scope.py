# Only tokens that hold the scope may call ngshare: those of people's notebook servers, and logins.
for service in c.JupyterHub.services:
    if service["name"] == "ngshare":
        service["command"].append("--require-scope")

c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=ngshare"]},
    {
        "name": "server",
        "scopes": [
            "users:activity!user",
            "access:servers!server",
            "access:services!service=ngshare",
        ],
    },
]
