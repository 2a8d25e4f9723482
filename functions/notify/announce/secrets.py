"""The webhook's address: a secret, because whoever knows it can post."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

UNSET = ("", "unset")


class WebhookMalformed(ValueError):
    """The secret holds something that is no address; the message says what it must hold."""


def webhook_url(client: SecretsManagerClient, secret_id: str) -> str | None:
    """The webhook's URL; None while nobody has set it (the deployed secret says "unset").

    Raises
    ------
    WebhookMalformed
        The secret holds something that is no address.
    """
    text = client.get_secret_value(SecretId=secret_id)["SecretString"].strip()
    if text in UNSET:
        return None
    if not text.startswith(("https://", "http://")):
        raise WebhookMalformed("the webhook secret must hold the webhook's URL as plain text, or 'unset'")
    return text
