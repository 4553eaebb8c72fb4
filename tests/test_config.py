"""Each mistake in a configuration is one clear line; what almost looks like it is accepted."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog import config
from watchdog.config import Config, Engine, Listen, LogFormat, RuntimeConfig
from watchdog.core.policy import DAY_NS, HOUR_NS, SECOND_NS, Budget, Mode, Policy, Remedy, Thresholds
from watchdog.errors import ConfigError, RecordingError
from watchdog.yamlfile import duration_ns

USUAL = """\
mode: enforce
runtimes:
  - kind: docker
    socket: unix:///run/docker.sock
    service: docker.service        # or  restart: [command, argument]
    log: journal                   # or the path of a file
metrics: {listen: "127.0.0.1:9847"}
state_dir: /var/lib/pull-watchdog
"""


@pytest.fixture
def complaint(load, tmp_path):
    """The message about a text, without the directory: "config.yaml:LINE: WHAT"."""

    def complaint(text: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load(text)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(f"{tmp_path}/config.yaml:")
        return message[len(str(tmp_path)) + 1 :]

    return complaint


def test_no_file_means_observe_with_the_usual_places(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "absent.yaml")

    loaded = config.load()

    assert loaded == Config()
    assert loaded.policy.mode is Mode.OBSERVE
    assert loaded.runtimes[0].socket == "unix:///run/docker.sock"
    assert loaded.metrics == Listen("127.0.0.1", 9847)


def test_the_default_path_is_read_when_it_is_there(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "config.yaml")
    config.DEFAULT_PATH.write_text("mode: enforce\n")

    assert config.load().policy.mode is Mode.ENFORCE


def test_the_usual_ten_lines_need_nothing_else(load):
    loaded = load(USUAL)

    assert loaded.policy == Policy(mode=Mode.ENFORCE)
    assert loaded.runtimes == (RuntimeConfig(),)
    assert loaded.state_dir == Path("/var/lib/pull-watchdog")
    assert loaded.policy.remedies_on == {
        Remedy.RESUME,
        Remedy.KILL_DECOMPRESSOR,
        Remedy.SUBSTITUTE_DECOMPRESSOR,
        Remedy.REPULL,
        Remedy.RESET_CONNECTION,
        Remedy.DUMP_GOROUTINES,
    }


def test_the_file_that_is_shipped_is_all_defaults_with_and_without_its_comment_signs(load):
    shipped = (Path(__file__).parents[1] / "packaging" / "config" / "config.yaml").read_text()
    uncommented = re.sub(r"^#(?! \S)", "", shipped, flags=re.MULTILINE)
    assert uncommented != shipped

    for text in (shipped, uncommented):
        loaded = load(text)
        assert replace(loaded, path=None) == Config()


def test_every_key_is_read(load):
    loaded = load(
        """\
runtimes:
  - {name: a, socket: "unix:///tmp/a.sock", restart: [/bin/restart, a], pidfile: /tmp/a.pid, log: /tmp/a.log}
  - {name: b, socket: "tcp://10.0.0.1:2375"}
metrics: {listen: off}
state_dir: /tmp/state
run_dir: /tmp/run
engine: polling
log_format: json
remedies: {resume: off, disable_pigz: "on"}
thresholds: {stopped: 2}
budgets: {resume: {count: 1, window: 2h}}
deadlines: {resume: 5s}
expiries: {substitute_decompressor: 1h}
recording_frames: 20
"""
    )

    first, second = loaded.runtimes
    assert (first.restart, first.service, first.env_file) == (("/bin/restart", "a"), None, None)
    assert (first.pidfile, first.log) == (Path("/tmp/a.pid"), "/tmp/a.log")
    assert (second.service, second.log) == (None, None)
    assert loaded.metrics is None
    assert (loaded.engine, loaded.log_format) == (Engine.POLLING, LogFormat.JSON)
    assert Remedy.RESUME not in loaded.policy.remedies_on
    assert Remedy.DISABLE_PIGZ in loaded.policy.remedies_on
    assert Remedy.KILL_DECOMPRESSOR in loaded.policy.remedies_on
    assert loaded.policy.thresholds == Thresholds(stopped=2)
    assert loaded.policy.budgets[Remedy.RESUME] == Budget(1, 2 * HOUR_NS)
    assert loaded.policy.budgets[Remedy.REPULL] == Policy().budgets[Remedy.REPULL]
    assert loaded.deadlines_ns[Remedy.RESUME] == 5 * SECOND_NS
    assert loaded.policy.expiries_ns[Remedy.SUBSTITUTE_DECOMPRESSOR] == HOUR_NS
    assert loaded.recording_frames == 20


MISTAKES = [
    # (wrong, what the line says after "config.yaml:", almost the same and right)
    ("mode: observe\nremedy: {}\n", '2: unknown key "remedy"', "mode: observe\nremedies: {}\n"),
    ("runtimes:\n  - sokcet: x\n", 'mean "socket"', "runtimes:\n  - socket: unix:///x\n"),
    ("remedies: {resum: on}\n", 'did you mean "resume"?', "remedies: {resume: on}\n"),
    ("mode: enforced\n", '1: mode cannot be "enforced"; did you mean "enforce"?', "mode: enforce\n"),
    ("mode: on\n", 'cannot be "on"; known: observe, enforce', "mode: 'observe'\n"),
    ("mode: observe\n\nmode: enforce\n", '3: "mode" is given twice', "mode: observe\n\n# mode: enforce\n"),
    ("mode:\n", "1: mode is empty", "mode: observe\n"),
    ("remedies:\n#  resume: off\n", "1: remedies is empty", "remedies:\n  resume: off\n"),
    ("runtimes:\n", "1: runtimes is empty", "runtimes:\n- {}\n"),
    ("- mode: observe\n", "1: the configuration must be a section", "mode: observe\n"),
    ("mode: [observe]\n", "1: mode is a list", "mode: observe\n"),
    ("runtimes: docker\n", "1: runtimes must be a list", "runtimes: [{kind: docker}]\n"),
    ("runtimes: []\n", "1: runtimes is an empty list", "runtimes: [{}]\n"),
    ("runtimes:\n- {}\n- {}\n", '3: two runtimes are named "docker"', "runtimes:\n- {}\n- {name: b}\n"),
    ("runtimes:\n- name: 7\n", 'read as int: put it in "quotes"', "runtimes:\n- name: '7'\n"),
    ("runtimes:\n- name: a/b\n", "use letters", "runtimes:\n- name: a.b\n"),
    ("runtimes:\n- kind: dokcer\n", 'mean "docker"', "runtimes:\n- kind: docker\n"),
    (
        "runtimes:\n- socket: /a\n",
        '2: runtimes[0].socket needs its scheme: write "unix:///a"',
        "runtimes:\n- socket: unix:///a\n",
    ),
    ("runtimes:\n- socket: unix://a\n", "write unix:///PATH", "runtimes:\n- socket: tcp://a:1\n"),
    ("runtimes:\n- service: docker\n", "whole unit name", "runtimes:\n- service: docker.service\n"),
    ("runtimes:\n- restart: reboot\n", "must be a list", "runtimes:\n- restart: [reboot]\n"),
    (
        "runtimes:\n- {service: a.service, restart: [b]}\n",
        "remove one of the two",
        "runtimes:\n- {restart: [b]}\n",
    ),
    ("runtimes:\n- log: jurnal\n", "write journal, or", "runtimes:\n- log: /jurnal\n"),
    ("metrics: {listen: '9847'}\n", "write ADDRESS:PORT", "metrics: {listen: '[::1]:9847'}\n"),
    ("metrics: {listen: 'node:9847'}\n", "write ADDRESS:PORT", "metrics: {listen: 'localhost:9847'}\n"),
    (
        "metrics: {listen: '127.0.0.1:65536'}\n",
        "write ADDRESS:PORT",
        "metrics: {listen: '127.0.0.1:65535'}\n",
    ),
    ("state_dir: var\n", "1: state_dir must be an absolute path", "state_dir: /var\n"),
    ("state_dir: /a/../b\n", "absolute", "state_dir: /a/..b\n"),
    ("run_dir: /a\nstate_dir: /a\n", "2: state_dir and run_dir are both /a", "run_dir: /a\nstate_dir: /b\n"),
    (
        "thresholds: {stopped: 1}\n",
        "1: thresholds.stopped is 1: use 2 to 100000",
        "thresholds: {stopped: 2}\n",
    ),
    ("thresholds: {stopped: 4.5}\n", "must be a whole number", "thresholds: {stopped: 4}\n"),
    ("thresholds: {stopped: four}\n", '"four" is none', "thresholds: {stopped: '4'}\n"),
    ("remedies: {resume: maybe}\n", "must be on or off", "remedies: {resume: No}\n"),
    (
        "deadlines: {resume: 10}\n",
        '1: deadlines.resume: "10" has no unit: write 10s',
        "deadlines: {resume: 10s}\n",
    ),
    ("deadlines: {resume: 10 weeks}\n", '"weeks" is no unit of time', "deadlines: {resume: 10 d}\n"),
    ("deadlines: {resume: -1s}\n", "is no duration", "deadlines: {resume: 1s}\n"),
    ("deadlines: {resume: 0s}\n", "no time at all", "deadlines: {resume: 1s}\n"),
    ("expiries: {resume: 1h}\n", 'unknown key "resume"', "expiries: {disable_pigz: 1h}\n"),
    ("budgets: {resume: 3}\n", "must be a section", "budgets: {resume: {count: 0}}\n"),
    ("recording_frames: 9\n", "use 10 to 10000", "recording_frames: 10\n"),
    ("mode: observe\n\tengine: bcc\n", "2: this is no YAML", "mode: observe\nengine: bcc\n"),
    ("mode: 'observe\n", "this is no YAML", "mode: 'observe'\n"),
    ("mode: observe\n---\nmode: observe\n", "2: this is no YAML", "---\nmode: observe\n"),
    ("mode: \x07\n", "1: a character that YAML forbids", "mode: observe # \u2713\n"),
    ("", "1: the file is empty", "{}\n"),
    (" \n\n", "1: the file is empty", "# mode: observe\n"),
]


@pytest.mark.parametrize(("wrong", "said", "right"), MISTAKES)
def test_a_mistake_is_one_line_and_its_neighbour_is_accepted(load, complaint, wrong, said, right):
    message = complaint(wrong)

    assert said in message
    assert message.split(":")[1].isdigit(), message
    assert isinstance(load(right), Config)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file: write it, or leave out -c"):
        config.load(tmp_path / "absent.yaml")


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is no regular file"):
            config.load(path)


def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"mode: observe\nrun_dir: /\xff\n")

    with pytest.raises(ConfigError, match=r"config\.yaml:2: byte 24 is not UTF-8"):
        config.load(path)


def test_a_huge_file_is_refused_and_one_at_the_limit_is_read(tmp_path):
    path = tmp_path / "config.yaml"
    text = "mode: enforce\n#"
    path.write_text(text + "x" * ((1 << 20) - len(text)))
    assert config.load(path).policy.mode is Mode.ENFORCE

    path.write_text(text + "x" * (1 << 20))
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        config.load(path)


def test_deep_nesting_is_an_error_of_ours(complaint):
    assert "nested too deeply" in complaint("[" * 20_000)


YAMLISH = st.text(alphabet="abmode: \n-[]{}'\"&*!|>#,?%0123456789\t~<", max_size=60)
KEYED = st.tuples(st.sampled_from(config._KEYS), YAMLISH).map(lambda pair: f"{pair[0]}: {pair[1]}")


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(YAMLISH, KEYED, st.text(max_size=40)))
def test_any_text_is_a_configuration_or_one_clear_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert isinstance(config.load(path), Config)
    except ConfigError as error:
        assert str(error).startswith(f"{path}:")
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "wanted"), [("90s", 90 * SECOND_NS), ("24h", DAY_NS), (" 7 d ", 7 * DAY_NS)]
)
def test_durations(text, wanted):
    assert duration_ns(text) == wanted


def test_a_policy_survives_its_json_and_equal_policies_give_equal_text(load):
    policy = load(USUAL + "remedies: {resume: off}\nthresholds: {blocked: 9}\n").policy

    assert Policy.from_json(policy.to_json()) == policy
    assert policy.to_json() != Policy().to_json()
    assert load(USUAL).policy.to_json() == Policy(mode=Mode.ENFORCE).to_json()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"mode":"enforce"}', Policy().to_json().replace("observe", "x")]
)
def test_a_foreign_policy_is_a_recording_error(text):
    with pytest.raises(RecordingError, match="a recorded policy cannot be read"):
        Policy.from_json(text)
