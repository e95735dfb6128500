"""Ways to reach a target, and the one that fits each."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from jikimi.alert.broker import parse_broker
from jikimi.alert.home import Standing
from jikimi.alert.message import Message, Plant
from jikimi.alert.mqtt import MqttChannel
from jikimi.alert.web import host_of
from jikimi.alert.webhook import WebhookChannel
from jikimi.errors import AlertError, RefusedError
from jikimi.settings import Target


class Channel(Protocol):
    """A way to one target. `send` is called by one thread at a time and takes at most 10 s."""

    def send(self, message: Message, *, key: str) -> None:
        """Deliver a message; the same `key` is the same message.

        Raises:
            RefusedError: only a change there or here will help. AlertError: trying again may.
            Neither quotes a secret.
        """

    def close(self) -> None:
        """Let go of connections."""


class Unusable:
    """Stands in for a channel that cannot be opened: what it is to send waits, and is not given up."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def send(self, message: Message, *, key: str) -> None:
        """Fail. Raises AlertError."""
        raise AlertError(self._problem)

    def close(self) -> None:
        """There is nothing to let go of."""


def open_channel(
    target: Target,
    *,
    plant: Plant,
    cameras: Sequence[str] = (),
    standing: Standing | None = None,
    announce: bool = True,
    on_connected: Callable[[], None] | None = None,
) -> Channel:
    """Return the channel of a target; `cameras` and what follows is MQTT's.

    Raises:
        RefusedError: its url cannot be used, in one line that names the target and not the url.
    """
    if target.kind == "webhook":
        return WebhookChannel(target)
    if target.kind == "apprise":
        from jikimi.alert.apprise_channel import AppriseChannel  # 2 s of plug-ins, for those who use it

        return AppriseChannel(target)
    return MqttChannel(
        target,
        cameras=cameras,
        standing=standing,
        site=plant.site,
        language=plant.language,
        announce=announce,
        on_connected=on_connected,
    )


def open_channels(
    targets: Sequence[Target],
    *,
    plant: Plant,
    cameras: Sequence[str] = (),
    standing: Callable[[], Standing] = Standing,
    on_connected: Callable[[str], None] | None = None,
    on_refused: Callable[[RefusedError], Channel] | None = None,
) -> dict[str, Channel]:
    """Return every target's channel by name; `standing` is called for each, `on_connected` gets its name.

    `on_refused` gives what stands in for one that cannot be used.

    Raises:
        RefusedError: one of the targets cannot be used, without `on_refused`; those opened are closed again.
    """
    opened: dict[str, Channel] = {}
    try:
        for target in targets:
            told = partial(on_connected, target.name) if on_connected is not None else None
            try:
                opened[target.name] = open_channel(
                    target, plant=plant, cameras=cameras, standing=standing(), on_connected=told
                )
            except RefusedError as error:
                if on_refused is None:
                    raise
                opened[target.name] = on_refused(error)
    except BaseException:
        for channel in opened.values():
            channel.close()
        raise
    return opened


def hosts_of(target: Target) -> list[str]:
    """The hosts to which a target's url leads: names or IP addresses, as far as the url has them.

    Raises:
        RefusedError: its url cannot be used.
    """
    url = target.url.get_secret_value()
    if target.kind == "webhook":
        return [host_of(url)]
    if target.kind == "mqtt":
        return [parse_broker(url).host]
    from jikimi.alert.apprise_channel import hosts_of_apprise

    return hosts_of_apprise(url)
