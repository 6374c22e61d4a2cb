"""The TVM agent's command line: the protocol's options, their defaults and bounds, and what makes no sense here."""

from __future__ import annotations

import pytest

from device_agents.tvm.options import Options, parse


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What a wrong command line is told."""
    with pytest.raises(SystemExit) as ended:
        parse(argv)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_defaults_are_the_protocols() -> None:
    bench, run = parse(["bench"]), parse(["run"])
    assert (bench.min_time_ms, bench.min_count, bench.max_count) == (30, 20, 5_000)
    assert (bench.timeout_ms, bench.cool_ms, bench.patience_ms) == (60_000, 10_000, 300)
    assert (run.min_time_ms, run.min_count, run.max_count) == (500, 50, 20_000)
    assert (run.timeout_ms, run.cool_ms, run.patience_ms) == (600_000, 60_000, 1_000)
    assert (bench.threads, bench.seed, bench.calm_work_ns) == (run.threads, run.seed, run.calm_work_ns) == (1, 1, 0)
    assert parse(["info"]) == Options("info")


def test_what_the_host_passes_is_understood() -> None:
    words = "--threads 1 --seed 7 --timeout-ms 60000 --displace-kb 512 --min-time-ms 40 --min-count 30 --max-count 400"
    more = "--cool-ms 10000 --lock-frequency --calm-work-ns 500 --only-from ids"
    bench = parse(["bench", *words.split(), *more.split()])
    assert (bench.displace_kb, bench.lock_frequency, bench.calm_work_ns, bench.only_from) == (512, True, 500, "ids")
    files = ["--input", "a.npy", "--input", "b.npy", "--output", "c.npy"]
    run = parse(["run", "--no-pin", "--thin", "--per-op", *files])
    assert (run.no_pin, run.thin, run.per_op) == (True, True, True)
    assert (run.input, run.output) == (("a.npy", "b.npy"), ("c.npy",))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "required"),
        ("measure", "invalid choice"),
        ("bench --threads 0", "a number from 1 to 64, not '0'"),
        ("bench --threads two", "not 'two'"),
        ("bench --min-count 1000001", "a number from 1 to 1000000"),
        ("bench --thin", "--thin"),
        ("run --displace-kb 1", "--displace-kb"),
        ("run --min-time 5", "--min-time"),
        ("run --no-pin --cpu 0", "exclude each other"),
        ("run --thin --calm-work-ns 5", "exclude each other"),
        ("run --thin --max-count 1", "2 or more"),
        ("bench --calm-work-ns 5 --calm-meeting-ns 5", "does not time how soon threads meet"),
        ("run" + " --input x" * 65, "more than 64 times"),
        ("info --threads 1", "--threads"),
    ],
)
def test_wrong_usage_is_told(line: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint in refused(capsys, *line.split())
