"""core/redaction: credentials go, everything else stays."""

from __future__ import annotations

import json
import time

import pytest

from watchdog.core.redaction import HIDDEN, redact

SECRET = "eyJhbGciOiJSUzI1NiJ9.aBc-12_3="


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization: basic {SECRET}",
        f"X-Registry-Auth: {SECRET}",
        f'msg="GET https://ann:{SECRET}@registry.example/v2/"',
        f'msg="{{\\"username\\":\\"ann\\",\\"password\\":\\"{SECRET}\\"}}"',
        f'{{"identitytoken": "{SECRET}"}}',
        f'{{"auth":"{SECRET}"}}',
        f"https://r.example/v2/?scope=pull&token={SECRET}&x=1",
        f"https://s3.example/blob?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}",
        f"docker login --password {SECRET} -u ann",
        f"REGISTRY_PASSWORD={SECRET}",
        f"api_key:{SECRET}",
    ],
)
def test_credentials_are_hidden_once_and_for_all(text: str) -> None:
    hidden = redact(text)
    assert SECRET not in hidden and "aBc-12_3" not in hidden and HIDDEN in hidden
    assert redact(hidden) == hidden


@pytest.mark.parametrize(
    "text",
    [
        'level=error msg="Not continuing with pull after error: context canceled"',
        "failed to fetch anonymous token: unexpected status: 500 Internal Server Error",
        "no basic auth credentials",
        "unauthorized: authentication required",
        "PullImageRequest: &PullImageRequest{Image:&ImageSpec{Image:postgres:10,},Auth:nil,}",
        "Get https://registry.example/v2/: net/http: request canceled (Client.Timeout exceeded)",
        "docker run -p 80:80 --token-file /x ann@example.com",
        "basic authentication is required",
        "signature: verification failed",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert redact(text) == text


def test_json_stays_json() -> None:
    text = json.dumps(
        {"argv": ["docker", "login", f"--password={SECRET}"], "url": f"https://a:{SECRET}@h/?sig={SECRET}"}
    )
    assert SECRET not in redact(text)
    assert json.loads(redact(text))["argv"][0] == "docker"


@pytest.mark.parametrize(
    "piece", ["a-", "token", '"', "\\", "https://", "basic ", 'auth"', "--password ", "x"]
)
def test_no_line_takes_long(piece: str) -> None:
    line = (piece * 8192)[:8192]
    begun = time.process_time()
    redact(line)
    assert time.process_time() - begun < 0.5
