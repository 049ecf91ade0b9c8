"""
Signing in: tokens, where they are kept, how they are renewed; for people (OAuth) and for servers (S2S).

Nothing here knows how requests are sent: what posts to the sign-in endpoints is passed in (`Exchange`).
"""

from outreach_frames._auth.login import is_loopback_redirect, login
from outreach_frames._auth.oauth import App, Exchange, read_redirect, refresher
from outreach_frames._auth.profiles import Profile, Profiles
from outreach_frames._auth.server_to_server import Installation, ServerApp, find_installation, installation_refresher
from outreach_frames._auth.token_refresh import RefreshingTokenAuth
from outreach_frames._auth.token_store import (
    FileTokenStore,
    KeyringTokenStore,
    MemoryTokenStore,
    Secrets,
    Token,
    TokenStore,
)

__all__ = [
    "App",
    "Exchange",
    "FileTokenStore",
    "Installation",
    "KeyringTokenStore",
    "MemoryTokenStore",
    "Profile",
    "Profiles",
    "RefreshingTokenAuth",
    "Secrets",
    "ServerApp",
    "Token",
    "TokenStore",
    "find_installation",
    "installation_refresher",
    "is_loopback_redirect",
    "login",
    "read_redirect",
    "refresher",
]
