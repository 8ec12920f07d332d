"""All SQL of the fleet's journal: its schema, step by step, and what is asked of it.

Names stand with their schema everywhere: nobody's ``search_path`` has a say. Every statement that
writes is one statement: whole or not at all, without a transaction around it.
"""

from __future__ import annotations

from cfstream_upload.rows import COLUMNS, WATCH

SCHEMA = "cfupload"
OLDEST_SERVER = 13

GATE = 0x6366_7570_6761_7465
"""The advisory lock that whoever sends shares, and that `cleanup --rebuild` has alone."""
MIGRATING = 0x6366_7570_6D69_6772

SETTINGS = {
    "synchronous_commit": "on",
    "row_security": "off",
    "idle_in_transaction_session_timeout": "60s",
}
"""Of every session; `timing` holds those that say how long something may take."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE SCHEMA IF NOT EXISTS cfupload",
        "CREATE TABLE cfupload.schema_version (version integer NOT NULL)",
        "INSERT INTO cfupload.schema_version VALUES (0)",
        "CREATE TABLE cfupload.identity (journal text NOT NULL, host text NOT NULL)",
        """CREATE TABLE cfupload.attempts (
            row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            id text NOT NULL, host text NOT NULL, label text NOT NULL,
            base text NOT NULL, account text NOT NULL, path bytea NOT NULL,
            device text NOT NULL, inode text NOT NULL, size bigint NOT NULL,
            mtime_ns bigint NOT NULL, samples text NOT NULL, options text NOT NULL,
            stage text NOT NULL, uid text UNIQUE, url text, position bigint NOT NULL,
            doomed text NOT NULL, tail smallint NOT NULL, kept smallint NOT NULL,
            told smallint NOT NULL, since double precision, expiry double precision,
            started double precision NOT NULL, seal bytea NOT NULL,
            begun timestamptz NOT NULL DEFAULT now(), touched timestamptz NOT NULL DEFAULT now()
        )""",
        "CREATE INDEX attempts_by_file ON cfupload.attempts (device, inode)",
        # An entry of a btree has a third of a page at most; a path may have 4096 bytes.
        "CREATE INDEX attempts_by_path ON cfupload.attempts (sha256(path))",
        "CREATE INDEX attempts_by_id ON cfupload.attempts (id)",
        """CREATE INDEX attempts_unsettled ON cfupload.attempts (account, base)
            WHERE stage <> 'stored'""",
        """CREATE TABLE cfupload.watches (
            id text PRIMARY KEY, host text NOT NULL, label text NOT NULL,
            base text NOT NULL, account text NOT NULL, path bytea NOT NULL,
            device text NOT NULL, inode text NOT NULL,
            since double precision, expiry double precision,
            begun timestamptz NOT NULL DEFAULT now(), touched timestamptz NOT NULL DEFAULT now()
        )""",
        "CREATE INDEX watches_of_account ON cfupload.watches (account, base)",
        # What is advice and not the promise is not worth a sync: a crash may empty it.
        """CREATE UNLOGGED TABLE cfupload.workers (
            id text PRIMARY KEY, host text NOT NULL, pid integer NOT NULL, label text NOT NULL,
            version text NOT NULL, started timestamptz NOT NULL DEFAULT now(),
            seen timestamptz NOT NULL DEFAULT now(), ended timestamptz,
            files jsonb NOT NULL, acknowledged bigint NOT NULL, speed double precision NOT NULL,
            done integer NOT NULL, failed integer NOT NULL, planned_files integer NOT NULL,
            planned_bytes bigint NOT NULL, done_bytes bigint NOT NULL, dashboard text NOT NULL
        )""",
        "CREATE INDEX workers_by_seen ON cfupload.workers (seen)",
        """CREATE UNLOGGED TABLE cfupload.budgets (
            name text PRIMARY KEY, tokens double precision NOT NULL,
            at timestamptz NOT NULL DEFAULT now()
        )""",
    ),
    # At another place the same path is another file.
    ("ALTER TABLE cfupload.attempts ADD COLUMN place text NOT NULL DEFAULT ''",),
    # What Dask calls a worker; whether others send for it; files found sent, and not its own.
    (
        """ALTER TABLE cfupload.workers ADD COLUMN name text NOT NULL DEFAULT '',
            ADD COLUMN leads boolean NOT NULL DEFAULT false,
            ADD COLUMN already integer NOT NULL DEFAULT 0,
            ADD COLUMN passed integer NOT NULL DEFAULT 0""",
    ),
)
"""What brings a journal of version ``n`` to ``n + 1``, under `MIGRATING`, in one transaction."""

VERSION = len(STEPS)
SET_VERSION = "UPDATE cfupload.schema_version SET version = %(version)s"
NAME_JOURNAL = "INSERT INTO cfupload.identity VALUES (%(journal)s, %(host)s)"
LOCK_MIGRATION = "SELECT pg_advisory_xact_lock(%(key)s)"
PATIENT = "SET LOCAL statement_timeout = '10min'"
"""Within a migration: an index of a million rows takes its time."""

ABOUT_SERVER = """SELECT current_setting('server_version_num')::int AS server,
    pg_is_in_recovery() AS standby, pg_backend_pid() AS backend,
    current_setting('transaction_read_only') = 'on' AS read_only,
    to_regnamespace('cfupload') IS NOT NULL AS there,
    to_regclass('cfupload.schema_version') IS NOT NULL AS versioned,
    coalesce((SELECT bool_or(true) FROM pg_class WHERE relnamespace = to_regnamespace('cfupload')),
        false) AS filled"""
VERSION_OF = "SELECT version FROM cfupload.schema_version"
HOST_OF = "SELECT host FROM cfupload.identity"
SET = (
    "SELECT set_config(name, value, false)"
    " FROM unnest(%(names)s::text[], %(values)s::text[]) AS wished (name, value)"
)
ALIVE = "SELECT 1"
MOVE_ASIDE = "ALTER SCHEMA cfupload RENAME TO {aside}"

# --- rows ----------------------------------------------------------------------------------------

_NAMES = ", ".join(COLUMNS)
_VALUES = ", ".join(f"%({name})s" for name in COLUMNS)
_CHANGES = ", ".join(f"{name} = %({name})s" for name in COLUMNS)
_WATCHED = ", ".join(WATCH)
_WATCH_VALUES = ", ".join(f"%({name})s" for name in WATCH)
_WATCH_CHANGES = ", ".join(f"{name} = EXCLUDED.{name}" for name in WATCH if name != "id")

_WATCH = f"INSERT INTO cfupload.watches ({_WATCHED})"
_WATCH_ANEW = f"ON CONFLICT (id) DO UPDATE SET {_WATCH_CHANGES}, touched = now()"
WATCH_IT = f"{_WATCH} VALUES ({_WATCH_VALUES}) {_WATCH_ANEW}"
_AND_WATCH = f"WITH watched AS ({WATCH_IT}) "
INSERT = (
    f"INSERT INTO cfupload.attempts ({_NAMES}, seal, place) VALUES ({_VALUES}, %(seal)s, %(place)s)"
    " ON CONFLICT (uid) DO NOTHING RETURNING row"
)
INSERT_AND_WATCH = _AND_WATCH + INSERT
# Of a restored database another attempt may have the number.
_ITS_ROW = "WHERE row = %(row)s AND id = %(id)s"
UPDATE = (
    f"UPDATE cfupload.attempts SET {_CHANGES}, seal = %(seal)s, touched = now()"
    f" {_ITS_ROW} RETURNING row"
)
# No row, no watch: that would say that somebody settled what a restored database forgot.
UPDATE_AND_WATCH = (
    f"WITH changed AS ({UPDATE}),"
    f" watched AS ({_WATCH} SELECT {_WATCH_VALUES} FROM changed {_WATCH_ANEW})"
    " SELECT row FROM changed"
)
DELETE = f"DELETE FROM cfupload.attempts {_ITS_ROW} RETURNING row"
DELETE_AND_WATCH = _AND_WATCH + DELETE
UNWATCH = "DELETE FROM cfupload.watches WHERE id = %(id)s"

_SELECT = f"SELECT {_NAMES}, seal, row FROM cfupload.attempts"
PAGE = 5000
"""Rows of one answer: a million of them is many short statements."""
ROWS = f"{_SELECT} WHERE row > %(after)s ORDER BY row LIMIT {PAGE}"
ROWS_OF_ACCOUNT = (
    f"{_SELECT} WHERE row > %(after)s AND base = %(base)s AND account = %(account)s"
    f" ORDER BY row LIMIT {PAGE}"
)
UNSETTLED = (
    f"{_SELECT} WHERE base = %(base)s AND account = %(account)s AND stage <> 'stored' ORDER BY row"
)
OF_FILE = (
    f"{_SELECT} WHERE base = %(base)s AND account = %(account)s AND"
    " ((device = %(device)s AND inode = %(inode)s)"
    " OR (sha256(path) = sha256(%(path)s) AND path = %(path)s AND place = %(place)s)) ORDER BY row"
)
UIDS_OF = """SELECT f.number, a.uid FROM
    unnest(%(devices)s::text[], %(inodes)s::text[], %(paths)s::bytea[]) WITH ORDINALITY
    AS f (device, inode, path, number) JOIN cfupload.attempts a ON a.base = %(base)s
    AND a.account = %(account)s AND ((a.device = f.device AND a.inode = f.inode)
    OR (sha256(a.path) = sha256(f.path) AND a.path = f.path AND a.place = %(place)s))"""
ABOUT = f"{_SELECT} WHERE uid = ANY(%(uids)s) OR id = ANY(%(ids)s) ORDER BY row"
OF_UID = f"{_SELECT} WHERE uid = %(uid)s"
AGAIN = f"{_SELECT} WHERE row = %(row)s"
HAS = "SELECT 1 FROM cfupload.attempts WHERE uid = %(uid)s"
WATCHES = f"SELECT {_WATCHED} FROM cfupload.watches WHERE base = %(base)s AND account = %(account)s"
SEALS = (
    "SELECT row, seal FROM cfupload.attempts WHERE row = ANY(%(rows)s) OR"
    " (base = %(base)s AND account = %(account)s AND device = %(device)s AND inode = %(inode)s)"
)
COUNTS = """SELECT count(*) FILTER (WHERE stage = 'stored' AND doomed = ''),
    count(*) FILTER (WHERE stage IN ('intended', 'discarding') OR doomed <> ''),
    count(*) FILTER (WHERE kept = 1 AND stage IN ('created', 'sent') AND doomed = ''),
    count(*), pg_database_size(current_database()) FROM cfupload.attempts"""

RIGHT_TO_MAKE = "SELECT has_database_privilege(current_database(), 'CREATE')"
RIGHTS = """SELECT bool_and(has_table_privilege(t, 'SELECT, INSERT, UPDATE, DELETE'))
    FROM unnest(ARRAY['cfupload.attempts', 'cfupload.watches']) AS t"""
CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"

# --- locks ---------------------------------------------------------------------------------------

TAKE = "SELECT pg_try_advisory_lock_shared(%(gate)s), pg_try_advisory_lock(%(key)s)"
FREE = "SELECT pg_advisory_unlock(%(key)s)"
FREE_GATE = "SELECT pg_advisory_unlock_shared(%(gate)s)"
TAKE_GATE_ALONE = "SELECT pg_try_advisory_lock(%(gate)s)"
_HALVES = "l.classid::bigint = %(high)s AND l.objid::bigint = %(low)s AND l.objsubid = 1"
HOLDER = f"""SELECT l.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND {_HALVES}
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1"""
TAKEN = """SELECT (l.classid::bigint << 32) | l.objid::bigint FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.mode = 'ExclusiveLock'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
END_GHOST = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = %(pid)s AND application_name = %(name)s AND pid <> pg_backend_pid()"""

# --- budgets: a bucket that fills by the server's clock ------------------------------------------

# Without its sign: after a clock was set back, nobody must wait until it is where it was.
_SINCE = "abs(extract(epoch FROM clock_timestamp() - b.at)::float8)"
_FILLED = f"least(%(most)s, b.tokens + %(flow)s * {_SINCE})"
BUDGET_OPEN = """INSERT INTO cfupload.budgets AS b (name, tokens, at)
    VALUES (%(name)s, %(most)s, clock_timestamp()) ON CONFLICT (name) DO NOTHING"""
BUDGET_SPEND = f"""UPDATE cfupload.budgets b SET tokens = {_FILLED} - %(spent)s,
    at = clock_timestamp() WHERE b.name = %(name)s RETURNING b.tokens"""
BUDGET_ADMIT = f"""UPDATE cfupload.budgets b SET tokens = {_FILLED} - 1, at = clock_timestamp()
    WHERE b.name = %(name)s AND {_FILLED} >= %(kept)s RETURNING b.tokens"""
BUDGET_LEFT = f"SELECT {_FILLED} FROM cfupload.budgets b WHERE b.name = %(name)s"
BUDGET_LIMIT = """UPDATE cfupload.budgets b SET tokens = least(b.tokens, %(tokens)s),
    at = clock_timestamp() WHERE b.name = %(name)s RETURNING b.tokens"""
SLOT_TAKE = """UPDATE cfupload.budgets b SET tokens = b.tokens - 1
    WHERE b.name = %(name)s AND b.tokens >= 1 RETURNING b.tokens"""
SLOT_MEASURING = f"""UPDATE cfupload.budgets b SET at = clock_timestamp()
    WHERE b.name = %(name)s AND b.tokens < 1 AND {_SINCE} > %(every)s RETURNING b.tokens"""
SLOT_MEASURED = """UPDATE cfupload.budgets b SET tokens = %(tokens)s WHERE b.name = %(name)s"""
IN_FLIGHT = """SELECT count(*) FROM cfupload.attempts
    WHERE base = %(base)s AND account = %(account)s AND stage IN ('created', 'sent')
    AND doomed = '' AND kept = 0"""

# --- workers -------------------------------------------------------------------------------------

PRESENT = """INSERT INTO cfupload.workers AS w
    (id, host, pid, label, version, files, acknowledged, speed, done, failed, planned_files,
    planned_bytes, done_bytes, dashboard, name, leads, already,
    passed, ended)
    VALUES (%(id)s, %(host)s, %(pid)s, %(label)s, %(version)s, %(files)s::jsonb,
    %(acknowledged)s, %(speed)s, %(done)s, %(failed)s, %(planned_files)s, %(planned_bytes)s,
    %(done_bytes)s, %(dashboard)s, %(name)s, %(leads)s,
    %(already)s, %(passed)s, CASE WHEN %(over)s THEN now() END)
    ON CONFLICT (id) DO UPDATE SET files = EXCLUDED.files, acknowledged = EXCLUDED.acknowledged,
    speed = EXCLUDED.speed, done = EXCLUDED.done, failed = EXCLUDED.failed,
    planned_files = EXCLUDED.planned_files, planned_bytes = EXCLUDED.planned_bytes,
    done_bytes = EXCLUDED.done_bytes, dashboard = EXCLUDED.dashboard, name = EXCLUDED.name,
    leads = EXCLUDED.leads, already = EXCLUDED.already, passed = EXCLUDED.passed,
    ended = EXCLUDED.ended, seen = now()"""
_SILENT = "abs(extract(epoch FROM now() - seen)::float8)"
FORGET_WORKERS = f"DELETE FROM cfupload.workers WHERE {_SILENT} > 86400"
WORKERS = f"""SELECT id, host, pid, label, version, files, acknowledged, speed, done, failed,
    planned_files, planned_bytes, done_bytes, dashboard, name, leads, already, passed,
    ended IS NOT NULL, {_SILENT}, greatest(0, extract(epoch FROM now() - started)::float8)
    FROM cfupload.workers WHERE {_SILENT} < 3600 ORDER BY host, started, id"""
HELD = """SELECT classid::bigint::numeric * 4294967296 + objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
UNFINISHED = (
    f"{_SELECT} WHERE stage <> 'stored'"
    " AND (%(account)s = '' OR (base = %(base)s AND account = %(account)s)) ORDER BY row"
)
RECEIPTS = """SELECT count(*) FROM cfupload.attempts
    WHERE stage = 'stored' AND (%(account)s = '' OR (base = %(base)s AND account = %(account)s))"""
