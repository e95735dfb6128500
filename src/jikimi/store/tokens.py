"""Tokens of the API that are made while it runs; those of jikimi.toml are not here."""

from sqlalchemy import delete, select

from jikimi.errors import NotFoundError
from jikimi.store.records import TokenRecord
from jikimi.store.sessions import Sessions, fields, insert_new, read
from jikimi.store.tables import TokenRow


class Tokens(Sessions):
    """The tokens' part of the store."""

    def tokens(self) -> list[TokenRecord]:
        """Return every token, by name."""
        query = select(TokenRow).order_by(TokenRow.name)
        with self._reading() as session:
            return [read(TokenRecord, row) for row in session.scalars(query)]

    def find_token(self, sha256: str) -> TokenRecord | None:
        """Return the token with that hash; None: there is none."""
        with self._reading() as session:
            row = session.scalar(select(TokenRow).where(TokenRow.sha256 == sha256))
            return None if row is None else read(TokenRecord, row)

    def add_token(self, token: TokenRecord) -> bool:
        """Add a token; False, and nothing is changed: there is one of that name."""
        with self._writing() as session:
            return insert_new(session, TokenRow, values=fields(token))

    def remove_token(self, name: str) -> None:
        """Take a token back. Raises NotFoundError."""
        with self._writing() as session:
            gone = session.execute(delete(TokenRow).where(TokenRow.name == name).returning(TokenRow.name))
            if gone.first() is None:
                raise NotFoundError(f"token {name!r}: there is none of that name; see the list of tokens")
