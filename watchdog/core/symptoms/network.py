"""What Go, Rust, Python and curl say about a network, from any product.

The order is from the outside in: the proxy on the way, the name, the handshake,
the range, and then the connection itself.
"""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule, words
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

_PROXY = (
    Rule(
        Kind.PROXY,
        "net.proxy",
        words(
            """
            proxyconnect | proxy authentication required | tunnel connection failed
            from proxy after connect | unable to connect to proxy | failed to connect to proxy | proxyerror
            socks connect | connecting to proxy
            """
        ),
        matching=re.compile(
            r"fail|error|refused|required|timeout|timed out|cannot|unable|dial|unreachable|after connect"
            r"|proxyconnect"
        ),
    ),
    Rule(
        Kind.PROXY,
        "rt.mirror_agent",
        (
            "mirror resolve retries exhausted",
            "could not resolve mirror",
            "failed to resolve mirror",
            "request to mirror failed",
        ),
    ),
    Rule(
        Kind.PROXY,
        "rt.mirror_agent",
        ("error", "fail"),
        matching=re.compile(r"\b(?:spegel|kraken|kubefin)\b.*(?:error|fail|exhausted)"),
    ),
)

_DNS = (
    Rule(
        Kind.DNS,
        "net.dns",
        words(
            """
            no such host | server misbehaving | name resolution | name or service not known
            could not resolve host | couldn't resolve host | could not resolve proxy
            failed to lookup address | host not found in upstream | host not found | could not be resolved
            getaddrinfo | nxdomain | servfail | nodename nor servname | no address associated with hostname
            unknown host | dns error | dns lookup failed | nameresolutionerror | failed to resolve '
            """
        ),
    ),
    Rule(
        Kind.DNS,
        "net.dns",
        ("lookup ",),
        matching=re.compile(r"\blookup [\w.-]{0,253}[\w.](?: on \S{1,80})?: "),
    ),
    Rule(
        Kind.DNS,
        "net.dns",
        ("timeout", "timed out", "refused", "unreachable"),
        matching=re.compile(r"udp \S+:53\b|->\S+:53: "),
    ),
)

_TLS = (
    Rule(
        Kind.TLS,
        "net.tls",
        (
            *words(
                """
                x509: | certificate signed by unknown | certificate has expired | certificate verify failed
                certificate_verify_failed | certificate is valid for | failed to verify certificate
                unable to get local issuer | self signed certificate | self-signed certificate
                invalid peer certificate | invalid certificate | unknownissuer | ssl certificate problem
                ssl_error_ | wrong version number | wrong_version_number | tls: failed to verify
                unsupported protocol version | sslv3 alert | tlsv1 alert | ssl handshake | ssl3_get_record
                unknown ca | oversized record | first record does not look like a tls handshake
                server gave http response to https client | client sent an http request to an https server
                http request was sent to https port | malformed http response | sslerror | handshake failure
                """
            ),
            "error: tls: ",
        ),
        without=("tls handshake timeout", "no such file"),
    ),
)

_RANGE = (
    Rule(
        Kind.RANGE_UNSUPPORTED,
        "rt.range_not_honoured",
        words(
            """
            expected http 206 | byte range request | range not satisfiable | range_invalid
            content-range header | invalid content-range | unhandled content range | content range requests
            invalid range | does not support range | doesn't support range | not support range
            status code 416 | status: 416 | http 416
            """
        ),
    ),
)

_TIMEOUT = (
    Rule(
        Kind.NET_TIMEOUT,
        "net.timeout",
        words(
            """
            i/o timeout | handshake timeout | client.timeout | timeout exceeded | connection timed out
            operation timed out | request timed out | read timed out | connect timed out | etimedout
            request timeout | connection timeout | connect timeout | connecttimeout | read timeout
            readtimeout | timeout awaiting response | timeout waiting for response | timed out while
            timed out after | timeout was reached | timeout expired
            request canceled while waiting for connection | having trouble accessing
            could not reach any registry endpoint | could not reach | kind: timedout | source: timedout
            upstream timed out | upstream read timed out | dial timeout | dialing timeout
            no response from server | wsarecv: a connection attempt failed
            did not properly respond after a period | semaphore timeout
            """
        ),
    ),
    Rule(
        Kind.NET_TIMEOUT,
        "net.timeout",
        ("deadline exceeded",),
        matching=re.compile(
            r"https?://|(?:dial|read|write) tcp|awaiting headers|reading body|proxy error"
            r"|code = deadlineexceeded"
        ),
    ),
)

_RESET = (
    Rule(
        Kind.NET_RESET,
        "net.reset",
        words(
            """
            reset by peer | connection reset | connectionreset | unexpected eof | unexpectedeof
            broken pipe | brokenpipe | stream error | internal_error | goaway | refused_stream
            forcibly closed | connection was aborted | caused connection abort | aborted by the software
            transport connection broken | server closed idle connection | server closed connection
            closed by remote host | remote end closed connection | incompletemessage
            before message completed | error reading a body from connection | malformed chunked encoding
            ended prematurely | premature close | prematurely closed | incompleteread | incomplete read
            connection unexpectedly closed | connection closed unexpectedly | read/write on closed pipe
            before server preface | closed abruptly | http2: client connection lost | short read
            socket hang up | an established connection was aborted | bytes progress made
            bytes remaining to read | was closed cleanly
            """
        ),
    ),
    Rule(Kind.NET_RESET, "net.reset", ("error", "during blob"), matching=re.compile(r"client disconnected")),
    Rule(
        Kind.NET_RESET,
        "net.reset",
        ("use of closed network connection",),
        matching=re.compile(r"\b(?:read|write|readfrom) tcp|https?://|upload|push|blob"),
        without=("accept ", "listener"),
    ),
    Rule(
        Kind.NET_RESET,
        "net.reset",
        ("eof",),
        matching=re.compile(
            r"(?:https?://|upload|download|pull|push|blob|manifest|layer|registry|\btcp\b|mirror|proxy error"
            r"|image|caused by).*: ?\"?eof\b"
        ),
    ),
)

_REFUSED = (
    Rule(
        Kind.NET_REFUSED,
        "net.refused",
        (
            *words(
                """
                connection refused | connectionrefused | actively refused | no route to host
                network is unreachable | host is unreachable | network unreachable | host unreachable
                ehostunreach | enetunreach | unreachable network | unreachable host | host is down
                couldn't connect to server | could not connect to server | tcp connect error
                error trying to connect
                """
            ),
            "failed to connect to ",
        ),
    ),
)

_PING = (  # without a cause behind it: dockerd itself guesses plain HTTP or an unknown CA then
    Rule(
        Kind.TLS,
        "rt.ping_failed",
        words(
            """
            unable to ping registry endpoint | invalid registry endpoint
            supports only http or https with an unknown ca
            """
        ),
    ),
)

RULES: Tuple[Rule, ...] = (*_PROXY, *_DNS, *_TLS, *_RANGE, *_TIMEOUT, *_RESET, *_REFUSED, *_PING)
