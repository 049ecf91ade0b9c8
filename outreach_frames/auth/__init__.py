"""
Signing in: tokens, where they are kept, how they are renewed; for people (OAuth) and for servers (S2S).

Nothing here knows how requests are sent: what posts to the sign-in endpoints is passed in (`Exchange`).
"""

from outreach_frames.auth.keeper import TokenKeeper
from outreach_frames.auth.login import is_loopback_redirect, login
from outreach_frames.auth.oauth import App, Exchange, read_redirect, refresher
from outreach_frames.auth.profiles import Profile, Profiles
from outreach_frames.auth.s2s import Installation, ServerApp, find_installation, installation_minter
from outreach_frames.auth.tokens import Secrets, Token
from outreach_frames.auth.vaults import FileVault, KeyringVault, MemoryVault, Vault

__all__ = [
    "App",
    "Exchange",
    "FileVault",
    "Installation",
    "KeyringVault",
    "MemoryVault",
    "Profile",
    "Profiles",
    "Secrets",
    "ServerApp",
    "Token",
    "TokenKeeper",
    "Vault",
    "find_installation",
    "installation_minter",
    "is_loopback_redirect",
    "login",
    "read_redirect",
    "refresher",
]
