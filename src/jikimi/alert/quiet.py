"""Libraries whose own logs quote addresses, tokens and passwords are not heard."""

import logging


def silence(*names: str) -> None:
    """Let nothing that these loggers and those below them say reach any handler.

    What goes wrong comes back to us as an exception or an answer, and is told in our words.
    """
    for name in names:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
