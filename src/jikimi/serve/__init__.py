"""The API of a site: what the store holds and what the status says, for those who may see it."""

from jikimi.serve.app import create_app
from jikimi.serve.backend import Backend
from jikimi.serve.running import serve_app

__all__ = ["Backend", "create_app", "serve_app"]
