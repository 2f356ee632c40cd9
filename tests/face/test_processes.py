"""What happens to readers and writers when their process forks, is interrupted, or ends. Each case is a program.

A program that hangs is killed after a time limit and fails its test; otherwise nothing here depends on time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from blocking_tables import rows_of

import paiio

MakeTable = Callable[..., str]

_LIMIT_SECONDS = 60
_ROOT = Path(__file__).resolve().parents[2]

_FAULTY_SERVICE = """
    import os
    from contextlib import ExitStack
    from anyio.from_thread import start_blocking_portal
    from aiopaiio.local import serve
    from aiopaiio.local.faults import Fault, Faults, Stall

    faults = Faults()
    stack = ExitStack()
    portal = stack.enter_context(start_blocking_portal())
    service = stack.enter_context(portal.wrap_async_context_manager(serve(ROOT, faults=faults)))
    os.environ["ODPS_CONFIG_FILE_PATH"] = str(service.write_config(ROOT + ".ini"))
"""


def run(program: str, **names: object) -> subprocess.CompletedProcess[str]:
    """Run a program, with these names defined, in the environment of the test."""
    return subprocess.run(
        [sys.executable, "-c", source_of(program, **names)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )


def source_of(program: str, **names: object) -> str:
    definitions = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    return definitions + textwrap.dedent(program)


def environment() -> dict[str, str]:
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        # Python 3.12 warns of every fork of a process with threads, which is what is tried here.
        "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",
    }


def numbered(count: int) -> list[tuple[int, str]]:
    return [(number, f"row {number}") for number in range(count)]


def assert_clean(done: subprocess.CompletedProcess[str], *lines: str) -> None:
    assert done.stderr == ""
    assert done.stdout.splitlines() == list(lines)
    assert done.returncode == 0


def test_importing_is_light() -> None:
    done = run(
        """
        import sys, threading
        import paiio
        print(sorted({"tensorflow", "pyarrow", "numpy", "aiohttp", "odps", "aiopaiio"} & set(sys.modules)))
        paiio.python_io.TableReader, paiio.TableWriter, paiio.OutOfRangeException
        print("tensorflow" in sys.modules, threading.active_count())
        print({"TableReader", "python_io"} <= set(dir(paiio)), hasattr(paiio, "nothing"))
        """
    )
    assert_clean(done, "[]", "False 1", "True False")


def test_plain_tables_are_read_and_written_without_the_heavy_modules(make_table: MakeTable) -> None:
    """PyODPS alone takes as long to import as all else together, and is needed for composed types only."""
    done = run(
        """
        import sys
        import aiopaiio, paiio

        heavy = {"tensorflow", "odps", "requests", "sqlglot", "aiopaiio.local"}
        print(sorted((heavy | {"pandas"}) & set(sys.modules)))
        with paiio.TableWriter(PATH) as writer:
            writer.write((3, "three"), [0, 1])
        with paiio.TableReader(PATH) as reader:
            print(reader.read(5))
        print(sorted(heavy & set(sys.modules)))  # PyArrow itself looks for pandas
        """,
        PATH=make_table("id bigint, name string", numbered(1)),
    )
    assert_clean(done, "[]", "[(0, 'row 0') (3, 'three')]", "[]")


def test_a_fork_during_a_read(make_table: MakeTable) -> None:
    done = run(
        """
        import os, sys
        import aiopaiio, paiio

        def child(reader):
            for use in (reader.read, lambda: reader.read(0), reader.seek, reader.get_row_count):
                try:
                    use()
                except aiopaiio.ForkedError as error:
                    assert "child process" in str(error)
                else:
                    return 1
            reader.close()
            with paiio.TableReader(PATH, slice_id=1, slice_count=2) as own:
                return 0 if [row[0] for row in own] == list(range(COUNT // 2, COUNT)) else 2

        reader = paiio.TableReader(PATH, num_threads=4)
        found = []
        for _ in range(3):
            found += reader.read(100)
            pid = os.fork()
            if pid == 0:
                sys.exit(child(reader))  # an exit with all finalizers
            found += reader.read(COUNT // 5)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        found += reader
        print(found == [(number, f"row {number}") for number in range(COUNT)])
        reader.close()
        """,
        PATH=make_table("a bigint, b string", numbered(100_000)),
        COUNT=100_000,
    )
    assert_clean(done, "0", "0", "0", "True")


def test_a_fork_with_an_open_writer(make_table: MakeTable) -> None:
    path = make_table("a bigint")
    done = run(
        """
        import os, sys
        import aiopaiio, paiio

        with paiio.TableWriter(PATH) as writer:
            writer.write((1,))
            pid = os.fork()
            if pid == 0:
                for use in (lambda: writer.write((2,)), writer.close):
                    try:
                        use()
                        sys.exit(1)
                    except aiopaiio.ForkedError:
                        pass
                with paiio.TableWriter(PATH, slice_id=1) as own:
                    own.write((3,))
                sys.exit(0)  # out of the with, too
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
        PATH=path,
    )
    assert_clean(done, "0")
    assert sorted(rows_of(path)) == [(1,), (3,)]


@pytest.mark.slow
def test_forks_while_other_threads_start_and_use_the_bridge(make_table: MakeTable) -> None:
    done = run(
        """
        import os, sys, threading
        import paiio

        def read():
            with paiio.TableReader(PATH) as reader:
                return sum(len(row) for row in reader) // 2

        def use():
            while not done.is_set():
                with paiio.TableReader(PATH) as reader:
                    reader.get_row_count()

        done = threading.Event()
        paiio.python_io  # imported: a fork in the midst of an import is nobody's to mend
        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        codes = []
        for _ in range(6):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if read() == COUNT else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        done.set()
        for thread in threads:
            thread.join()
        print(codes)
        """,
        PATH=make_table("a bigint, b string", numbered(1000)),
        COUNT=1000,
    )
    assert_clean(done, str([0] * 6))


def test_a_process_pool_made_after_a_read(make_table: MakeTable) -> None:
    done = run(
        """
        import multiprocessing
        import paiio

        def read(slice_id):
            with paiio.TableReader(PATH, slice_id=slice_id, slice_count=4) as reader:
                return [row[0] for row in reader]

        reader = paiio.TableReader(PATH)
        count = reader.get_row_count()
        reader.read(10)
        with multiprocessing.get_context("fork").Pool(4) as pool:
            parts = pool.map(read, range(4))
        print(sum(parts, []) == list(range(count)), len(reader.read(count)) == count - 10)
        reader.close()
        """,
        PATH=make_table("a bigint, b string", numbered(5000)),
    )
    assert_clean(done, "True True")


def test_ctrl_c_in_a_blocked_read(tmp_path: Path) -> None:
    program = (
        _FAULTY_SERVICE
        + """
    import signal
    import paiio
    from aiopaiio import Client
    from paiio._bridge import bridge

    # A shell starts what runs in its background, tests too, deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def create():
        async with Client() as client:
            await client.execute_sql("create table t (a bigint)", "demo")

    bridge().call(create)
    path = "odps://demo/tables/t"
    with paiio.TableWriter(path) as writer:
        writer.write([(number,) for number in range(1000)])
    faults.add(Fault("read_rows", Stall(), times=1, when=lambda operation: print("asked") or True))
    try:
        with paiio.TableReader(path) as reader:
            reader.read(10)
    except KeyboardInterrupt:
        print("interrupted")
    with paiio.TableReader(path) as reader:
        print(len(reader.read(2000)))
    stack.close()
    """
    )
    command = [sys.executable, "-c", source_of(program, ROOT=str(tmp_path / "root"))]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "asked\n"
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=_LIMIT_SECONDS)
        finally:
            process.kill()
    assert (stdout, stderr, process.returncode) == ("interrupted\nasked\n1000\n", "", 0)


@pytest.mark.parametrize(
    "ending", ["", *(pytest.param(ending, marks=pytest.mark.slow) for ending in ("sys.exit(0)", "os._exit(0)"))]
)
def test_an_exit_without_close(make_table: MakeTable, ending: str) -> None:
    path = make_table("a bigint, b string", numbered(50_000))
    done = run(
        """
        import os, sys
        import paiio

        reader = paiio.TableReader(PATH, num_threads=8, capacity=1000)
        reader.read(10)
        writer = paiio.TableWriter(PATH)
        for number in range(6):  # some of it is sent
            writer.write([(number, "x" * 100)] * 10_000)
        """
        + f"\n        {ending}\n",
        PATH=path,
    )
    assert_clean(done)
    assert rows_of(path) == numbered(50_000)
    # The slice is free.
    paiio.TableWriter(path).close()


def test_an_exit_by_an_error(make_table: MakeTable) -> None:
    path = make_table("a bigint, b string", numbered(10))
    done = run(
        """
        import paiio

        reader = paiio.TableReader(PATH)
        writer = paiio.TableWriter(PATH)
        writer.write((1, "x"))
        raise RuntimeError("the program's own")
        """,
        PATH=path,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "RuntimeError: the program's own"
    assert rows_of(path) == numbered(10)


@pytest.mark.slow
def test_an_embedded_service_and_an_exit_without_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.ini"
    config.write_text(f"end_point = local:{tmp_path / 'root'}\n")
    monkeypatch.setenv("ODPS_CONFIG_FILE_PATH", str(config))
    program = """
        import paiio
        from aiopaiio import Client
        from paiio._bridge import bridge
        from paiio._client import with_client

        with_client(bridge(), lambda client: client.execute_sql("create table if not exists t (a bigint)", "demo"))
        path = "odps://demo/tables/t"
        with paiio.TableWriter(path) as writer:
            writer.write((1,))
        forgotten = paiio.TableWriter(path)
        forgotten.write((2,))
        reader = paiio.TableReader(path)
        print(reader.read(5).tolist())
        """
    assert_clean(run(program), "[(1,)]")
    assert_clean(run(program), "[(1,), (1,)]")


def test_a_call_at_the_very_end(make_table: MakeTable) -> None:
    done = run(
        """
        import atexit
        import paiio

        def late():
            try:
                reader.read()
            except paiio.python_io.OutOfRangeException:
                raise
            except Exception as error:
                print(type(error).__name__)
            reader.close()

        atexit.register(late)
        reader = paiio.TableReader(PATH)
        """,
        PATH=make_table("a bigint, b string", numbered(10)),
    )
    assert_clean(done, "ClosedError")
