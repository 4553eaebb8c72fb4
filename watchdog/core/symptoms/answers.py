"""What a registry answered: refusals by name, refusals by HTTP status, and answers that no registry gives."""

from __future__ import annotations

import re
from typing import Optional, Tuple

from watchdog.core.symptoms.rule import Rule, words
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

LIMITS: Tuple[Rule, ...] = (  # before everything else: the words around a limit are those of a refusal
    Rule(
        Kind.RATE_LIMITED,
        "reg.rate_limited",
        words(
            """
            toomanyrequests | too many requests | too_many_requests | pull rate limit | rate limit exceeded
            rate exceeded | request limit exceeded | throttlingexception | qps exceeded | http 429
            status: 429 | status code 429
            """
        ),
        without=("request rate limit exceeded", "burst", "client-side throttling"),
    ),
)

_AUTH = (
    Rule(
        Kind.AUTH,
        "reg.auth",
        words(
            """
            no basic auth credentials | access to the resource is denied | pull access denied
            may require 'docker login' | may require authorization | does not exist or no pull access
            no pull access | authentication required | authentication is required | authentication failed
            authorization failed | authorization token has expired | token has expired | unauthorized
            incorrect username or password | invalid username | wrong username | insufficient_scope
            insufficient scope | image pull secret | error getting credentials | error storing credentials
            invalid token | incorrect authentication | untrusted key | failed to authenticate
            wrong credentials | invalid credential | login denied | permission_denied
            permission denied while trying to connect
            """
        ),
        without=("authorized request",),
    ),
    Rule(Kind.AUTH, "reg.auth", ("permission denied",), with_all=(".sock",)),
    Rule(
        Kind.AUTH,
        "reg.auth",
        ("denied",),
        matching=re.compile(r"(?<!permission )\bdenied\b[\":,.]|denied: |access denied|: denied"),
    ),
)

_NOT_FOUND = (
    Rule(
        Kind.NOT_FOUND,
        "reg.blob_unknown",
        words(
            """
            blob unknown | blob_unknown | unknown blob | blob upload unknown | blob_upload_unknown
            blob upload invalid
            """
        ),
    ),
    Rule(
        Kind.NOT_FOUND,
        "reg.not_found",
        words(
            """
            manifest unknown | manifest_unknown | manifest not found | unknown manifest | name unknown
            name_unknown | name not known | repository name not known | tag_unknown | no such image
            no such manifest | image not known | no image found | could not find repository
            no matching manifest | errimageneverpull | not present with pull policy of never | no such id
            """
        ),
    ),
    Rule(
        Kind.NOT_FOUND,
        "reg.not_found",
        ("not found", "does not exist"),
        matching=re.compile(r"manifest|artifact|repository|\btag\b|pull|image|resolve reference|blob|404"),
        without=(
            "plugin",
            "config path",
            "command not found",
            "executable file not found",
            "shared librar",
            "secret",
            "configmap",
            "pod ",
            "404 page",
        ),
    ),
)

_SERVER = (
    Rule(
        Kind.SERVER_ERROR,
        "reg.not_a_registry",
        words(
            """
            invalid character '<' | looking for beginning of value | after top-level value
            error parsing http | default backend - 404 | 404 page not found | unexpected content-type
            missing or empty content-type | unable to decode token response | error unmarshalling content
            """
        ),
        without=("<h1>408", "408 request time"),
    ),
    Rule(
        Kind.SERVER_ERROR,
        "reg.server_error",
        words(
            """
            internal server error | bad gateway | service unavailable | service temporarily unavailable
            gateway time-out | gateway timeout | server error | unexpected http status | unexpected status
            unknown: unknown error | unknown: internal | internal error | http status: 5
            registry is unavailable | error committing to storage | unknown error completing upload
            registry returned error
            """
        ),
    ),
)

RULES: Tuple[Rule, ...] = (*_AUTH, *_NOT_FOUND, *_SERVER)

# --- HTTP statuses in running text -------------------------------------------------------

_STATUS = re.compile(
    r"""
      \b([45]\d\d)\ (?:too\ many|service\ (?:temporarily\ )?unavail|bad\ gateway|gateway\ time
        |internal\ server|not\ found|forbidden|unauthorized|bad\ request
        |request(?:ed)?\ (?:range|entity|time)
        |payload|proxy\ auth|conflict|method\ not|origin|web\ server|a\ timeout|unknown)
    | (?:status(?:\ ?code)?|error:?\ code|http\ code|http\ error|response\ code)\W{1,3}(?:is\ )?([45]\d\d)\b
    | error\ parsing\ http\ ([45]\d\d)\b
    | \bhttp/[12](?:\.\d)?"?\ ([45]\d\d)\b
    | \bcode[:=]\ ?([45]\d\d)\b
    | \b(?:error|status):?\ ([45]\d\d)\b
    | unexpected\ (?:http\ )?status(?:\ code)?\D{0,12}([45]\d\d)\b
    | unexpected\ ([45]\d\d)\ response
    | ^([45]\d\d)\ [a-z\ ]+\ -\ [a-z]+\ /
    """,
    re.VERBOSE,
)

BY_STATUS = {
    401: Kind.AUTH,
    403: Kind.AUTH,
    404: Kind.NOT_FOUND,
    407: Kind.PROXY,
    408: Kind.NET_TIMEOUT,
    416: Kind.RANGE_UNSUPPORTED,
    429: Kind.RATE_LIMITED,
    499: Kind.CANCELED,
    507: Kind.DISK_FULL,
}


def status_in(text: str) -> Optional[int]:
    """The HTTP error status that a lower-cased text speaks of."""
    found = _STATUS.search(text)
    return int(next(group for group in found.groups() if group)) if found else None


def kind_of_status(status: int) -> Kind:
    """What an HTTP status from 400 means; an unexpected 4xx is the server's, too."""
    return BY_STATUS.get(status, Kind.SERVER_ERROR)
