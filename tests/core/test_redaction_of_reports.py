"""Credentials do not leave the agent; what merely looks like one is left alone."""

from __future__ import annotations

import json

import pytest

from watchdog.core.redaction import redact

SECRETS = [
    "docker login --password hunter2222 registry.example",
    "docker login --password=hunter2222",
    "https://ci:hunter2222@registry.example/v2/",
    "Authorization: Bearer hunter2222.abc-def",
    "authorization: basic hunter2222==",
    "token=hunter2222&service=x",
    'level=error msg="x" api_key=hunter2222',
    "https://s3.example/blob?X-Amz-Signature=hunter2222&x=1",
]

HARMLESS = [
    "docker pull localhost:5000/big:1",
    "unpigz (pid 4242) of registry.example/team/app@sha256:" + "a" * 64,
    "bearer bonds",
    "https://registry.example:5000/v2/",
    "unix:///run/docker.sock",
    "the password was not asked for",
    "",
]


@pytest.mark.parametrize("text", SECRETS)
def test_credentials_are_hidden_and_the_rest_stays(text):
    hidden = redact(text)

    assert "hunter2222" not in hidden
    assert "[redacted]" in hidden
    assert redact(hidden) == hidden


@pytest.mark.parametrize("text", HARMLESS)
def test_text_without_credentials_stays_as_it_is(text):
    assert redact(text) == text


@pytest.mark.parametrize("text", SECRETS + HARMLESS)
def test_json_stays_json(text):
    record = {"text": text, "list": [text, {"password": text}], "n": 1}

    hidden = json.loads(redact(json.dumps(record)))

    assert hidden.keys() == record.keys()
    assert "hunter2222" not in json.dumps(hidden)
