"""Dask and Spark give the numbers that pandas gives, over several partitions."""

import importlib
import importlib.util
import shutil
import warnings

import pytest

from outreach_frames import stats
from outreach_frames.errors import NaiveTimestampWarning
from outreach_frames.stats.prospects import ZONE_COLUMNS
from tests.frames import AS_OF, ENGINES, as_pandas, assert_equal_tables, example, mailings, make_frame
from tests.stats.statistics_of_mail import STATISTICS

pytestmark = [
    pytest.mark.slow,
    # PySpark's own notice, at import and at every conversion; its results are compared here.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


@pytest.fixture(scope="module")
def expected():
    return {name: as_pandas(compute(ENGINES["pandas"])) for name, compute in STATISTICS.items()}


@pytest.fixture(scope="module")
def dask():
    """Return how to make a Dask frame of three partitions, and how to collect one."""
    if importlib.util.find_spec("dask") is None:
        pytest.skip('DASK NOT CHECKED: pip install "dask[dataframe]"')
    frames = importlib.import_module("dask.dataframe")
    return lambda frame: frames.from_pandas(frame, npartitions=3), lambda native: native.compute()


@pytest.fixture(scope="module")
def spark():
    """Return how to make a Spark frame, and how to collect one; the session's zone must not matter."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("SPARK NOT CHECKED: pip install pyspark, and a Java runtime (apt-get install default-jre-headless)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder = importlib.import_module("pyspark.sql").SparkSession.builder.master("local[2]")
        settings = {
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.session.timeZone": "Asia/Kolkata",
            "spark.sql.timestampType": "TIMESTAMP_NTZ",  # keeps instants without a zone as they are
            "spark.python.sql.dataFrameDebugging.enabled": "false",  # three calls of the JVM for each expression
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield lambda frame: session.createDataFrame(ENGINES["pyarrow"](frame)), lambda native: native.toArrow()
    session.stop()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_dask_gives_the_same_numbers(dask, statistic, expected):
    to, collect = dask

    found = STATISTICS[statistic](to)

    assert type(found).__module__.startswith("dask")
    assert_equal_tables(as_pandas(collect(found)), expected[statistic])


@pytest.mark.parametrize("statistic", STATISTICS)
def test_spark_gives_the_same_numbers(spark, statistic, expected):
    to, collect = spark

    found = STATISTICS[statistic](to)

    assert type(found).__module__.startswith("pyspark")
    assert_equal_tables(as_pandas(collect(found)), expected[statistic])


@pytest.mark.parametrize("engine", ["dask", "spark"])
def test_no_mail_gives_a_row_of_zeros(engine, request):
    to, collect = request.getfixturevalue(engine)

    found = as_pandas(collect(stats.engagement(to(mailings()), cluster=None)))

    assert found["mailings"].tolist() == [0]
    assert found[["reply_rate", "hours_to_reply_median"]].isna().to_numpy().all()


@pytest.mark.parametrize("engine", ["dask", "spark"])
def test_instants_without_a_zone_are_utc_and_not_the_sessions(engine, request):
    to, collect = request.getfixturevalue(engine)
    mail = example("mailings")
    naive = mail.assign(delivered_at=mail["delivered_at"].dt.tz_localize(None))

    with pytest.warns(NaiveTimestampWarning):
        found = as_pandas(collect(stats.engagement(to(naive), by="day", cluster=None, as_of=AS_OF)))

    assert_equal_tables(found, as_pandas(stats.engagement(mail, by="day", cluster=None, as_of=AS_OF)))


@pytest.mark.parametrize("engine", ["dask", "spark"])
def test_names_of_time_zones_are_read_alike(engine, request):
    to, collect = request.getfixturevalue(engine)
    names = ["Eastern Time (US & Canada)", "(GMT+05:30)\u00a0mumbai ", "asia/tokyo", "Eastern", None]
    people = make_frame([{"id": n, "time_zone": name} for n, name in enumerate(names)], *["id", *ZONE_COLUMNS])
    mail = mailings(*({"prospect_id": n, "delivered_at": "2024-07-10T15:30:00Z"} for n in range(6)))

    found = as_pandas(collect(stats.send_time_heatmap(to(mail), prospects=to(people))))

    assert_equal_tables(found, as_pandas(stats.send_time_heatmap(mail, prospects=people)))
    assert found.query("delivered > 0")[["hour", "delivered"]].to_numpy().tolist() == [
        [11, 1],
        [15, 3],
        [21, 1],
        [0, 1],
    ]
