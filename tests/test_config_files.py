"""conf.d: a later file wins key by key, a mistake is named where it stands, a stranger's file is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from watchdog import config
from watchdog.config import Config, Listen
from watchdog.core.policy import DEFAULT_BUDGETS, Mode, Remedy
from watchdog.errors import ConfigError


class Files:
    """A configuration's directory."""

    def __init__(self, directory: Path) -> None:
        self.main = directory / "config.yaml"
        self.fragments = directory / "conf.d"
        self.fragments.mkdir()

    def write(self, main: str, **fragments: str) -> None:
        self.main.write_text(main)
        for name, text in fragments.items():
            (self.fragments / f"{name}.yaml").write_text(text)

    def load(self) -> Config:
        return config.load(self.main)

    def complaint(self) -> str:
        with pytest.raises(ConfigError) as caught:
            self.load()
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(f"{self.main.parent}/", "")


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_a_later_file_replaces_a_value_and_the_last_one_wins(files):
    files.write("mode: observe\nengine: bcc\n", b="mode: observe\n", a="mode: enforce\n")
    assert files.load().policy.mode is Mode.OBSERVE

    files.write("mode: observe\nengine: bcc\n", c="mode: enforce\n")
    loaded = files.load()
    assert loaded.policy.mode is Mode.ENFORCE
    assert loaded.engine.value == "bcc"
    assert loaded.path == files.main
    assert loaded.files == (files.main, *(files.fragments / f"{name}.yaml" for name in "abc"))


def test_sections_merge_key_by_key_at_any_depth(files):
    files.write(
        "remedies: {disable_pigz: on, resume: off}\nbudgets: {resume: {count: 1, window: 2h}}\n",
        a="remedies: {resume: on, restart_runtime: on}\nbudgets: {resume: {count: 3}, repull: {count: 2}}\n",
    )
    policy = files.load().policy

    assert {Remedy.DISABLE_PIGZ, Remedy.RESUME, Remedy.RESTART_RUNTIME} <= policy.remedies_on
    budget = policy.budgets[Remedy.RESUME]
    assert (budget.count, budget.window_ns) == (3, 2 * 3600 * 10**9)
    assert policy.budgets[Remedy.REPULL].count == 2
    assert policy.budgets[Remedy.KILL_DECOMPRESSOR] == DEFAULT_BUDGETS[Remedy.KILL_DECOMPRESSOR]


def test_a_list_is_replaced_as_a_whole(files):
    files.write('harbor: ["https://a.example", "https://b.example"]\n', a='harbor: ["https://c.example"]\n')
    assert files.load().harbors == ("https://c.example",)


def test_a_section_and_an_off_replace_each_other(files):
    files.write("p2p: {piece_timeout: 60s}\n", a="p2p: off\n")
    assert files.load().p2p is None
    files.write("p2p: off\n", a="p2p: {piece_timeout: 60s}\n")
    assert files.load().p2p is not None


def test_only_yaml_files_count_and_not_those_that_tools_leave(files):
    files.write("mode: observe\n")
    for name in ("a.yml", "a.yaml.dpkg-dist", "a.yaml.rpmsave", "a.yaml~", ".a.yaml", "README"):
        (files.fragments / name).write_text("mode: enforce\n")
    assert files.load().policy.mode is Mode.OBSERVE
    assert files.load().files == (files.main,)


@pytest.mark.parametrize(
    ("main", "fragment", "said"),
    [
        ("mode: observe\n", "# why\nmood: enforce\n", 'conf.d/a.yaml:2: unknown key "mood"'),
        ("mode: observe\n", "\n\nmode: enforced\n", 'conf.d/a.yaml:3: mode cannot be "enforced"'),
        ("mode: observe\n", "mode: enforce\nmode: observe\n", 'conf.d/a.yaml:2: "mode" is given twice'),
        ("mode: observe\n", "mode: [\n", "conf.d/a.yaml:2: this is no YAML"),
        ("mode: observe\n", "- mode\n", "conf.d/a.yaml:1: the configuration must be a section"),
        ("- mode\n", "mode: observe\n", "config.yaml:1: the configuration must be a section"),
        ("mode: observe\n", "", "conf.d/a.yaml:1: the file is empty"),
        # In a section of two files each line is told in its own.
        ("remedies:\n  repul: on\n", "remedies: {repull: on}\n", 'config.yaml:2: unknown key "repul"'),
        ("remedies: {repull: on}\n", "remedies:\n  repul: on\n", 'conf.d/a.yaml:2: unknown key "repul"'),
        ("remedies: {repull: maybe}\n", "remedies: {resume: on}\n", "config.yaml:1: remedies.repull must be"),
        ("remedies: {resume: on}\n", "remedies:\n  resume: maybe\n", "conf.d/a.yaml:2: remedies.resume must"),
        (
            "remedies:\n  resume: on\n  resume: off\n",
            "remedies: {resume: on}\n",
            'config.yaml:3: "resume" is given twice',
        ),
        (
            "remedies: {resume: on}\n",
            "remedies:\n  resume: on\n  resume: off\n",
            'conf.d/a.yaml:3: "resume" is given twice',
        ),
        ("run_dir: /a\n", "\nstate_dir: /a\n", "conf.d/a.yaml:2: state_dir and run_dir are both /a"),
        ("remedies: &x {resume: *x}\n", "remedies: &x {resume: *x}\n", "remedies holds itself"),
    ],
)
def test_a_mistake_is_named_in_its_own_file(files, main, fragment, said):
    files.write(main, a=fragment)
    assert said in files.complaint()


def test_a_fragment_of_comments_changes_nothing(files):
    files.write("mode: enforce\n", a="# mode: observe\n")
    assert files.load().policy.mode is Mode.ENFORCE


def test_the_default_place_may_hold_fragments_only(monkeypatch, files):
    monkeypatch.setattr(config, "DEFAULT_PATH", files.main)
    (files.fragments / "a.yaml").write_text('metrics: {listen: "127.0.0.1:1"}\n')

    loaded = config.load()

    assert loaded.metrics == Listen("127.0.0.1", 1)
    # None: a process of a remedy is started without -c, and finds the same files.
    assert loaded.path is None
    assert loaded.files == (files.fragments / "a.yaml",)


def test_a_file_that_is_named_must_exist_whatever_lies_beside_it(files):
    (files.fragments / "a.yaml").write_text("mode: enforce\n")
    assert "config.yaml: no such file" in files.complaint()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_strangers_fragment_is_refused_and_the_operators_own_is_not(files):
    files.write("mode: observe\n", a="mode: enforce\n")
    fragment = files.fragments / "a.yaml"

    os.chown(fragment, 4711, 0)
    assert "conf.d/a.yaml: belongs to user 4711" in files.complaint()

    os.chown(files.main, 4711, 0)
    assert files.load().policy.mode is Mode.ENFORCE

    os.chown(files.fragments, 4712, 0)
    assert "conf.d: belongs to user 4712" in files.complaint()


def test_an_absent_or_empty_directory_and_a_file_of_its_name_are_nothing(files):
    files.write("mode: enforce\n")
    assert files.load().files == (files.main,)
    files.fragments.rmdir()
    assert files.load().files == (files.main,)
    files.fragments.write_text("")
    assert files.load().files == (files.main,)
