"""The API of a site: what the store holds and what the status says, for those who may see it."""
