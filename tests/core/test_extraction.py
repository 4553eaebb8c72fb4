"""Stages, their stillness, and which blob and untar belong to which decompressor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.machine import AHEAD, LIBRARIES, MIB, Extraction, Machine
from watchdog.core.extraction import (
    BLOB_AHEAD_MAX_BYTES,
    GAP_TICKS,
    Pipeline,
    Tracks,
    find_worker,
    matching_blobs,
    pipelines,
    stage_members,
)
from watchdog.core.observation import BlobSample, PipeEnd
from watchdog.core.policy import SECOND_NS


@pytest.fixture
def machine() -> Machine:
    return Machine()


def pipeline_of(machine: Machine, one: Extraction) -> Pipeline:
    """That extraction as one look shows it."""
    index = machine.extractions.index(one)
    return pipelines(machine.scan())[index]


class Looks:
    """Tracks that see a machine once a second."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.tracks, self.now_ns = machine, Tracks(SECOND_NS), 0

    def look(self, count: int = 1, seconds: float = 1) -> Tracks:
        for _ in range(count):
            self.now_ns += int(seconds * SECOND_NS)
            self.machine.advance()
            self.tracks.update(self.machine.scan(), self.now_ns)
        return self.tracks

    def still(self, one: Extraction) -> int:
        return self.tracks.still_samples(one.worker.key)


@pytest.fixture
def looks(machine: Machine) -> Looks:
    return Looks(machine)


class TestWorker:
    def test_a_plain_decompressor_works_itself(self, machine):
        one = machine.pull()

        assert pipeline_of(machine, one).worker.key == one.worker.key

    def test_behind_a_wrapper_script_its_child_works(self, machine):
        one = machine.pull(wrapper=True)

        pipeline = pipeline_of(machine, one)

        assert pipeline.worker.key == one.worker.key
        assert [member.key for member in pipeline.stage] == [one.wrapper.key, one.worker.key]

    def test_two_leaves_that_hold_the_pipes_are_ambiguous(self, machine):
        one = machine.pull(wrapper=True)
        one.helpers.append(replace(one.worker, key=machine._key()))

        assert pipeline_of(machine, one).worker is None

    def test_a_child_that_holds_none_of_the_pipes_is_not_of_the_stage(self, machine):
        one = machine.pull(wrapper=True)
        one.helpers.append(replace(one.worker, key=machine._key(), stdin=PipeEnd(1), stdout=None))

        pipeline = pipeline_of(machine, one)

        assert pipeline.worker.key == one.worker.key
        assert one.helpers[0].key not in [member.key for member in pipeline.stage]

    def test_a_stage_whose_pipes_cannot_be_seen_is_its_first_process(self, machine):
        one = machine.pull(wrapper=True)
        one.wrapper.stdin = one.wrapper.stdout = None
        seen = machine.scan().decompressors[0]

        assert [member.key for member in stage_members(seen)] == [one.wrapper.key]
        assert find_worker(seen).key == one.wrapper.key


class TestBlob:
    @pytest.mark.parametrize("ahead", [0, AHEAD, BLOB_AHEAD_MAX_BYTES])
    def test_the_one_that_is_a_pipe_ahead_belongs(self, machine, ahead):
        one = machine.pull()
        one.blob = replace(one.blob, position_bytes=one.worker.read_bytes + ahead)

        assert pipeline_of(machine, one).blob == one.blob

    @pytest.mark.parametrize("ahead", [-1, BLOB_AHEAD_MAX_BYTES + 1])
    def test_one_just_outside_does_not(self, machine, ahead):
        one = machine.pull()
        one.blob = replace(one.blob, position_bytes=one.worker.read_bytes + ahead)

        pipeline = pipeline_of(machine, one)

        assert (pipeline.blob, pipeline.blob_candidates) == (None, 0)

    def test_of_two_that_fit_none_belongs(self, machine):
        one = machine.pull()
        seen = replace(machine.scan(), blobs=(one.blob, replace(one.blob, name="GetImageBlob9")))

        assert (pipelines(seen)[0].blob, pipelines(seen)[0].blob_candidates) == (None, 2)

    def test_two_decompressors_that_fit_one_blob_get_none(self, machine):
        first, second = machine.pull(), machine.pull("localhost:5000/other:1", size=90 * MIB)
        second.blob = None

        assert pipeline_of(machine, first).blob is None
        assert pipeline_of(machine, second).blob is None

    def test_a_blob_that_another_one_could_claim_too_is_not_certain(self, machine):
        """A fits X only, B fits X and Y: X may still be B's, and A that of a load."""
        load, pull = machine.load(), machine.pull()
        load.worker.read_bytes = LIBRARIES
        pull.worker.read_bytes = LIBRARIES + 50_000
        near = BlobSample("X", 9 * MIB, LIBRARIES + 100_000)
        far = BlobSample("Y", 9 * MIB, LIBRARIES + BLOB_AHEAD_MAX_BYTES + 20_000)
        seen = replace(machine.scan(), blobs=(near, far))

        assert [one.blob for one in pipelines(seen)] == [None, None]

    def test_two_pulls_far_apart_have_each_their_own(self, machine):
        first, second = machine.pull(), machine.pull("localhost:5000/other:1", size=90 * MIB)
        second.move(20 * MIB)

        assert pipeline_of(machine, first).blob == first.blob
        assert pipeline_of(machine, second).blob == second.blob

    def test_nothing_fits_a_worker_whose_counters_are_unseen(self, machine):
        one = machine.pull()
        one.worker.read_bytes = None

        assert matching_blobs(one.worker.sample(), [one.blob]) == []
        assert matching_blobs(None, [one.blob]) == []

    def test_a_blob_that_moves_on_is_not_that_of_a_worker_that_stands(self, machine, looks):
        """A hung load beside a healthy pull whose blob passes by just at its position."""
        load = machine.load()
        machine.hang(load, "stopped")
        looks.look(6)
        pull = machine.pull()
        pull.worker.read_bytes = 900 * MIB  # sampled a moment later than its blob
        pull.hung = "it has just begun"

        looks.look()

        assert matching_blobs(load.worker.sample(), [pull.blob])  # a look without memory would take it
        load_pipeline = looks.tracks.pipelines["docker"][0]
        assert (load_pipeline.blob, load_pipeline.blob_candidates) == (None, 0)

    def test_a_blob_that_stopped_with_its_worker_is(self, machine, looks):
        one = machine.pull()
        looks.look(2)
        machine.hang(one, "stopped")

        looks.look(6)

        assert looks.tracks.pipelines["docker"][0].blob == one.blob

    @pytest.mark.parametrize(("later", "belongs"), [(1, True), (2, False)])
    def test_it_may_stop_a_look_later_and_not_two(self, machine, looks, later, belongs):
        """The pipe between them fills up first."""
        one = machine.pull()
        looks.look(2)
        machine.hang(one, "stopped")
        for _ in range(later):
            one.blob = replace(one.blob, position_bytes=one.blob.position_bytes + 1)
            looks.look()

        looks.look(4)

        assert (looks.tracks.pipelines["docker"][0].blob is not None) is belongs

    def test_two_descriptors_on_one_file_are_two_candidates(self, machine, looks):
        one = machine.pull()
        machine.hang(one, "stopped")
        scan = machine.scan()
        twice = replace(scan, blobs=(one.blob, replace(one.blob, position_bytes=400 * MIB)))
        for second in range(6):
            looks.tracks.update(twice, second * SECOND_NS)

        assert looks.tracks.pipelines["docker"][0].blob == one.blob


class TestUntar:
    def test_the_only_one_belongs_to_the_only_decompressor(self, machine):
        one = machine.pull()
        one.worker.written_bytes = 900 * MIB  # whatever the counts say

        assert pipeline_of(machine, one).untar.process.key == one.untar.key

    def test_of_two_pairs_the_counts_tell(self, machine):
        first, second = machine.pull(), machine.pull("localhost:5000/other:1", size=90 * MIB)
        second.move(20 * MIB)

        assert pipeline_of(machine, first).untar.process.key == first.untar.key
        assert pipeline_of(machine, second).untar.process.key == second.untar.key

    def test_of_two_pairs_with_like_counts_neither_is_certain(self, machine):
        first, second = machine.pull(), machine.pull("localhost:5000/other:1", size=90 * MIB)

        assert pipeline_of(machine, first).untar is None
        assert pipeline_of(machine, second).untar is None

    def test_docker_24_has_none(self, machine):
        one = machine.pull(untar=False)

        assert pipeline_of(machine, one).untar is None

    def test_an_untar_without_a_decompressor_is_no_pipeline(self, machine):
        machine.pull()
        scan = replace(machine.scan(), decompressors=())

        assert pipelines(scan) == []

    def test_unseen_counters_pair_nothing(self, machine):
        first, second = machine.pull(), machine.pull("localhost:5000/other:1", size=90 * MIB)
        second.move(20 * MIB)
        second.worker.written_bytes = None

        assert pipeline_of(machine, second).untar is None
        assert pipeline_of(machine, first).untar.process.key == first.untar.key


class TestStillness:
    def test_it_counts_the_comparisons_without_a_byte(self, machine, looks):
        one = machine.pull()
        looks.look(3)
        assert looks.still(one) == 0
        machine.hang(one, "blocked")

        looks.look(5)

        assert looks.still(one) == 5

    @pytest.mark.parametrize("counter", ["read_bytes", "written_bytes"])
    def test_one_byte_starts_it_anew(self, machine, looks, counter):
        one = machine.pull()
        machine.hang(one, "blocked")
        looks.look(5)
        setattr(one.worker, counter, getattr(one.worker, counter) + 1)

        looks.look()

        assert looks.still(one) == 0
        assert looks.tracks.stillness(one.worker.key).moved_ns == looks.now_ns

    def test_a_gap_starts_it_anew(self, machine, looks):
        one = machine.pull()
        machine.hang(one, "blocked")
        looks.look(5)

        looks.look(seconds=GAP_TICKS + 0.1)

        assert looks.still(one) == 0

    def test_almost_a_gap_does_not(self, machine, looks):
        one = machine.pull()
        machine.hang(one, "blocked")
        looks.look(5)

        looks.look(seconds=GAP_TICKS)

        assert looks.still(one) == 5

    @pytest.mark.parametrize("counter", ["read_bytes", "written_bytes"])
    def test_an_unseen_counter_starts_it_anew_and_is_no_movement(self, machine, looks, counter):
        one = machine.pull()
        machine.hang(one, "blocked")
        looks.look(5)
        seen = getattr(one.worker, counter)

        setattr(one.worker, counter, None)
        looks.look()
        assert looks.still(one) == 0
        setattr(one.worker, counter, seen)
        looks.look()

        assert looks.still(one) == 0
        assert looks.tracks.stillness(one.worker.key).moved_ns is None

    def test_another_process_with_the_same_pid_is_another_one(self, machine, looks):
        one = machine.pull()
        machine.hang(one, "blocked")
        looks.look(5)
        one.worker.key = replace(one.worker.key, start_ticks=one.worker.key.start_ticks + 1)

        looks.look()

        assert looks.still(one) == 0

    def test_cpu_is_a_share_of_the_still_stretch(self, machine, looks):
        one = machine.pull()
        looks.look(10)
        machine.hang(one, "spinning")

        looks.look(4)

        assert looks.tracks.stillness(one.worker.key).cpu_share() == pytest.approx(1.0)

    def test_unseen_cpu_is_none(self, machine, looks):
        one = machine.pull()
        machine.hang(one, "blocked")
        one.worker.cpu_ticks = None

        looks.look(4)

        assert looks.tracks.stillness(one.worker.key).cpu_share() == 0.0

    def test_what_is_not_seen_any_more_is_forgotten(self, machine, looks):
        one = machine.pull()
        looks.look()
        machine.extractions.clear()

        looks.look(2 * GAP_TICKS + 1)

        assert looks.tracks.stillness(one.worker.key) is None

    def test_what_is_seen_in_every_other_look_is_kept(self, machine, looks):
        one = machine.pull()
        machine.hang(one, "blocked")
        looks.look(3)
        machine.extractions.clear()
        looks.look()
        machine.extractions.append(one)

        looks.look()

        assert looks.still(one) == 3


class TestEnd:
    def test_what_a_whole_look_does_not_show_has_ended(self, machine, looks):
        one = machine.pull()
        looks.look()
        machine.extractions.clear()

        looks.look()

        assert looks.tracks.ended("docker", one.worker.key)
        assert not looks.tracks.alive("docker", one.worker.key)

    def test_what_a_partial_look_does_not_show_may_be_there(self, machine, looks):
        one = machine.pull()
        looks.look()
        machine.extractions.clear()
        machine.complete = False

        looks.look()

        assert not looks.tracks.ended("docker", one.worker.key)

    def test_without_any_look_nothing_has_ended(self, machine, looks):
        one = machine.pull()

        assert not looks.tracks.ended("docker", one.worker.key)
        assert not looks.tracks.fresh("docker", 0)

    def test_a_look_stays_fresh_for_three_ticks(self, machine, looks):
        looks.look()

        assert looks.tracks.fresh("docker", looks.now_ns + GAP_TICKS * SECOND_NS)
        assert not looks.tracks.fresh("docker", looks.now_ns + GAP_TICKS * SECOND_NS + 1)


class TestDisk:
    def test_it_counts_the_looks_without_a_sector(self, machine, looks):
        machine.hang(machine.pull(), "storage")

        looks.look(5)

        assert looks.tracks.storage_still_samples("docker") == 4

    def test_a_sector_starts_it_anew(self, machine, looks):
        machine.hang(machine.pull(), "storage")
        looks.look(5)
        machine.sectors += 1

        looks.look()

        assert looks.tracks.storage_still_samples("docker") == 0

    def test_an_unseen_disk_is_unknown(self, machine, looks):
        machine.hang(machine.pull(), "storage")
        looks.look(5)
        machine.sectors = None

        looks.look()

        assert looks.tracks.storage_still_samples("docker") is None
