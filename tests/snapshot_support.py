"""What is done to snapshots: files changed on purpose, full disks, and queries that try to get out."""

import hashlib
import json
import resource
from contextlib import contextmanager

from outreach_frames.snapshots import _extract, _id_ranges, _refresh, parquet, plan
from tests.fetch_support import resource as record

ATTEMPTS = [
    "with x as (copy (select 1) to '{0}/new.csv') select 1",
    "with x as (copy (select 1) to '{0}/secret.csv') select 1",
    "with x as (copy (select 1 as id) to '{1}/users.parquet' (format parquet)) select 1",
    "with x as (copy (select 1) to 'beside.csv') select 1",
    "select * from '{0}/secret.csv'",
    "select * from 'beside.csv'",
    "select * from '{1}/users.parquet'",
    "select * from read_csv('{0}/secret.csv')",
    "select * from read_text('{0}/secret.csv')",
    "select * from read_blob('{0}/secret.csv')",
    "select * from read_json('{0}/secret.csv')",
    "select * from read_ndjson_objects('{0}/secret.csv')",
    "select * from read_parquet('{1}/users.parquet')",
    "select * from parquet_metadata('{1}/users.parquet')",
    "select * from parquet_schema('{1}/users.parquet')",
    "select * from parquet_kv_metadata('{1}/users.parquet')",
    "select * from sniff_csv('{0}/secret.csv')",
    "select * from read_csv('{0}/link.csv')",
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from read_parquet('{1}/*.parquet')",
    "select * from read_text('{1}/../CURRENT')",
    "select * from read_parquet('https://example.com/x.parquet')",
    "select * from glob('{0}/*')",
    "select * from query('from read_text(''{0}/secret.csv'')')",
    "select * from query_table('{0}/secret.csv')",
    "select * from 'http://127.0.0.1:9/x.csv'",
    "select * from read_csv('s3://bucket/x.csv')",
    "select * from sqlite_scan('{0}/secret.csv', 't')",
    "select * from postgres_scan('host=127.0.0.1', 'public', 't')",
    "select * from st_read('{0}/secret.csv')",
    "select * from enable_logging(storage = 'file', storage_path = '{0}/log')",
    "select * from enable_profiling(format = 'json', save_location = '{0}/profile.json')",
    "call enable_logging(storage = 'file', storage_path = '{0}/log')",
    "pragma enable_profiling",
    "select * from self",
    "select * from frames",
    "select * from frame_of_the_caller",
    "select getenv('HOME')",
    "select * from pandas_scan(1)",
    "attach '{0}/new.db'",
    "attach '{1}/users.parquet' as x",
    "set allowed_directories = ['{0}']",
    "set home_directory = '{0}'",
    "install httpfs",
    "load httpfs",
    "set threads = 1",
    "reset lock_configuration",
    "set enable_external_access = true",
    "export database '{0}/dump'",
    "create secret (type s3, provider config)",
    "copy users to '{0}/new.csv'",
    "select 1; copy users to '{0}/new.csv'",
    "explain analyze copy users to '{0}/new.csv'",
]
"""Ways out of a query: to files, the network, extensions, settings and Python's variables."""


def seal(snapshot):
    """Note the files of a version as they are now, so that they count as those that were written."""
    manifest = snapshot.folder / "manifest.json"
    content = json.loads(manifest.read_text())
    for name, facts in content["tables"].items():
        for file in facts.get("files") or [facts]:  # the first format has one file for each table
            file["sha256"] = checksum(snapshot.folder / file.get("path", f"{name}.parquet"))
    manifest.write_text(json.dumps(content))


def checksum(file):
    """Return the SHA-256 of a file as a manifest has it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def contents(*folders):
    """Return the bytes of every file below some folders, and what is there besides files."""
    return {path: path.read_bytes() if path.is_file() else None for folder in folders for path in folder.rglob("*")}


@contextmanager
def full_after(size):
    """Let no file grow beyond a size [bytes], as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def plant(folder):
    """Make files that no query may reach: some anywhere, and some in what is to be the current folder."""
    for name, file in (("elsewhere", "secret.csv"), ("here", "beside.csv")):
        (folder / name).mkdir()
        (folder / name / file).write_text("a,b\n1,2\n")
    (folder / "elsewhere" / "link.csv").symlink_to(folder / "elsewhere" / "secret.csv")


def shrink(replace):
    """
    Divide tables of a few rows, as those of thousands are.

    Parameters
    ----------
    replace
        Sets an attribute of a module: ``setattr``, or that of a test, which sets it back.
    """
    replace(_extract, "ONE_REQUEST", 10)
    replace(_refresh, "ONE_REQUEST", 10)
    replace(parquet, "GROUP_ROWS", 8)
    replace(parquet, "FILE_ROWS", 24)
    replace(plan, "ONE_REQUEST", 10)
    replace(_id_ranges, "SWEPT_ROWS", 4)
    replace(plan, "SWEPT_ROWS", 4)


def accounts(*ids):
    """Return accounts as resource objects, as they are after having been created in 2026."""
    stamp = "2026-01-01T00:00:00.000Z"
    return [record("account", id_, {"name": f"A{id_}", "createdAt": stamp, "updatedAt": stamp}) for id_ in ids]


def parts_of(snapshot, table):
    """Return the files of a table, as their manifest has them."""
    return snapshot.manifest["tables"][table]["files"]
