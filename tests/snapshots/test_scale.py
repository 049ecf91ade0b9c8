"""
Five million mailings in every engine: equal numbers, a unit of work for each file, and bounded memory.

Dask runs as a cluster of two worker processes that talk over TCP, Spark in a JVM with a heap of 1 GB; both listen on
loopback only.
"""

import importlib
import importlib.util
import shutil
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest

import outreach_frames as of
from outreach_frames import stats
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._manifest import TableFacts
from outreach_frames.snapshots._writing import PartWriter, UnfinishedVersion, writing
from tests.frames import as_pandas, assert_equal_tables
from tests.snapshot_support import parts_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The inplace keyword"),  # Dask's own
    # PySpark's own notice, at import and at every conversion; its results are compared here.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

MAILINGS = 5_000_000
WORKER_LIMIT = 1_800_000_000
"""Largest size of a worker of Dask [bytes]; about 1.2 GB are used, most of it to count distinct people exactly."""
SPARK_LIMIT = 2_000_000_000
"""Largest size of the JVM [bytes]: a heap of 1 GB and what Java needs besides."""

STATISTICS = {
    "engagement": lambda mail: stats.engagement(mail, by="sequence_id"),
    "failures": lambda mail: stats.failures(mail, by=["user_id", "mailing_type"]),
    "send_time_heatmap": lambda mail: stats.send_time_heatmap(mail, clock="org"),
}


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """Return a snapshot of made-up mailings, with the 44 columns of a fetch, written as a taken one is."""
    benchmarks = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.append(benchmarks)
    mailings_table = importlib.import_module("organization").mailings_table
    sys.path.remove(benchmarks)
    path = tmp_path_factory.mktemp("large") / "org"
    schema = mailings_table(1).schema
    with writing(path), UnfinishedVersion(path, None, tables=["mailings"]) as version:
        with PartWriter(version, "mailings", schema) as out:
            for first in range(0, MAILINGS, parquet.FILE_ROWS):
                out.write(mailings_table(parquet.FILE_ROWS, first), None)
            files = out.finish()
        as_of = datetime(2026, 7, 1, tzinfo=UTC)
        columns = {field.name: str(field.type) for field in schema}
        version.add_table("mailings", TableFacts(rows=MAILINGS, as_of=as_of, columns=columns, files=files))
        version.publish(None)
    yield of.open_snapshot(path)
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def small_files():
    """Leave files and row groups as large as they are."""


@pytest.fixture(scope="module")
def expected(large):
    """Return the numbers of DuckDB."""
    return {name: as_pandas(statistic(large.scan("mailings"))) for name, statistic in STATISTICS.items()}


@pytest.fixture
def cluster():
    """Return a client of two worker processes; a worker above 2 GB would be killed."""
    if importlib.util.find_spec("distributed") is None:
        pytest.skip('DASK CLUSTER NOT CHECKED: pip install "dask[dataframe,distributed]"')
    distributed = importlib.import_module("distributed")
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "processes": True,
        "memory_limit": "2GB",
        "host": "127.0.0.1",
        "protocol": "tcp",
        "dashboard_address": None,
        "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},  # it has a port for figures even so
    }
    with (
        distributed.LocalCluster(**options) as workers,
        distributed.Client(workers) as client,
    ):
        yield client


@pytest.fixture
def spark(monkeypatch):
    """Return a session of two threads."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("SPARK NOT CHECKED: pip install pyspark, and a Java runtime (apt-get install default-jre-headless)")
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder = importlib.import_module("pyspark.sql").SparkSession.builder.master("local[2]")
        settings = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "4",
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def largest_size(status):
    """
    Read how large a process has been [bytes] from its status.

    `getrusage` would tell the size of the process that started it, where that was larger.
    """
    (size,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return size


def test_the_made_up_mailings_are_not_trivial(large, expected):
    """Else equal engines would prove little."""
    engagement = expected["engagement"]

    assert len(parts_of(large, "mailings")) == MAILINGS // parquet.FILE_ROWS
    assert len(engagement) == 180
    assert engagement["mailings"].sum() > 4_000_000
    assert engagement[["replied", "bounced", "opted_out", "prospects_replied"]].min().min() > 50
    assert expected["send_time_heatmap"]["delivered"].gt(0).sum() == 168
    assert len(expected["failures"]) > 40


def test_polars_gives_the_same_numbers(large, expected):
    mail = large.scan("mailings", "polars")

    for name, statistic in STATISTICS.items():
        assert_equal_tables(as_pandas(statistic(mail)), expected[name])


def test_a_cluster_of_dask_gives_the_same_numbers_in_bounded_memory(large, cluster, expected):
    """A partition is a file, or several ones where few of their columns are read."""
    addresses = [cluster.scheduler.address, *cluster.scheduler_info(n_workers=-1)["workers"]]
    assert len(addresses) == 3
    assert all(address.startswith("tcp://127.0.0.1:") for address in addresses)
    mail = large.scan("mailings", "dask")

    assert mail.npartitions == len(parts_of(large, "mailings"))
    for name, statistic in STATISTICS.items():
        assert_equal_tables(as_pandas(statistic(mail).compute()), expected[name])

    sizes = [largest_size(text) for text in cluster.run(Path("/proc/self/status").read_text).values()]
    assert len(sizes) == 2
    assert max(sizes) < WORKER_LIMIT


def test_spark_gives_the_same_numbers_in_bounded_memory(large, spark, expected):
    """A partition is some files, or parts of them at row groups."""
    mail = large.scan("mailings", "spark")

    functions = importlib.import_module("pyspark.sql.functions")
    place = [functions.spark_partition_id().alias("partition"), functions.input_file_name().alias("file")]
    pieces = mail.select(*place).groupBy("partition", "file").count().toArrow()
    assert len(pieces["partition"].unique()) > 1
    assert all(count % parquet.GROUP_ROWS == 0 for count in pieces["count"].to_pylist())
    assert {Path(file).name for file in pieces["file"].to_pylist()} == {
        Path(file["path"]).name for file in parts_of(large, "mailings")
    }
    for name, statistic in STATISTICS.items():
        assert_equal_tables(as_pandas(statistic(mail).toArrow()), expected[name])

    number = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    assert largest_size(Path(f"/proc/{number}/status").read_text()) < SPARK_LIMIT
