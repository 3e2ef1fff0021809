# Both people and their notebook servers may call ngshare.
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
