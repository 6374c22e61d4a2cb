"""Calling a user's factory: `FILE.py:FACTORY` or `package.module:FACTORY`.

Every failure becomes one line that names the user's file and line, as they would find it in a traceback.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from hwaware.errors import HwawareError


def call_factory(ref: str, failure: type[HwawareError]) -> Any:
    """What the factory of `ref` ("SOURCE:NAME") returns, called without arguments.

    The source's folder (the working directory for a module) is on `sys.path` while it is imported and called.
    `failure` is the class of the error raised for everything that goes wrong; only a HwawareError that the
    user's code raises passes as it is.
    """
    source, _, name = ref.rpartition(":")
    is_file = source.endswith(".py") or "/" in source or Path(source).is_file()
    if is_file and not source.endswith(".py"):
        raise failure(f"{source}: not a Python file; write FILE.py:FACTORY")
    path = Path(source).expanduser().resolve()
    if is_file and not path.is_file():
        raise failure(f"{source}: no such file (looked in {path.parent})")
    with _on_path(path.parent if is_file else Path.cwd()):
        module = _import_file(path, source, failure) if is_file else _import_module(source, failure)
        factory = _factory(module, name, source, failure)
        with _explained(f"{source}: {name}()", Path(module.__file__ or ""), failure):
            return factory()


def _import_file(path: Path, source: str, failure: type[HwawareError]) -> ModuleType:
    # A name of its own: a user's torch.py must not become everybody's torch.
    name = f"hwaware_user_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise failure(f"{source}: Python cannot import it")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs, as dataclasses and torch.export look their module up there.
    sys.modules[name] = module
    try:
        with _explained(f"{source}: importing it", path, failure):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import_module(name: str, failure: type[HwawareError]) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise failure(f"{name!r} is neither a Python file nor a module's name; write FILE.py:FACTORY")
    with _explained(f"{name}: importing it", Path(), failure):
        try:
            found = importlib.util.find_spec(name)  # imports the packages above it
        except ModuleNotFoundError as error:
            if not name.startswith(f"{error.name}."):
                raise  # not one of the packages above it, but something that they import
            found = None
    if found is None:
        raise failure(f"no module {name!r} here or installed; for a file write {name}.py:FACTORY")
    with _explained(f"{name}: importing it", Path(found.origin or ""), failure):
        return importlib.import_module(name)


def _factory(module: ModuleType, name: str, source: str, failure: type[HwawareError]) -> Callable[[], Any]:
    if not hasattr(module, name):
        own = [
            key
            for key, value in vars(module).items()
            if callable(value) and not key.startswith("_") and value.__module__ == module.__name__
        ]
        close = difflib.get_close_matches(name, own, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise failure(f"{source}: no factory {name!r}; it defines {', '.join(own) or 'none'}{hint}")
    factory = getattr(module, name)
    if not callable(factory):
        raise failure(f"{source}: {name} is a {type(factory).__name__}, not a factory to call")
    try:
        # A builtin has no signature (ValueError); there the call itself will tell.
        with contextlib.suppress(ValueError):
            inspect.signature(factory).bind()
    except TypeError as error:
        raise failure(f"{source}: {name} is called without arguments, but: {error}") from error
    return factory


@contextlib.contextmanager
def _explained(what: str, path: Path, failure: type[HwawareError]) -> Iterator[None]:
    """Turn what the user's code raises (sys.exit too) into `failure` with its line in `path`."""
    try:
        yield
    except HwawareError:
        raise
    except SyntaxError as error:
        where = f"{error.filename or path}:{error.lineno}"
        raise failure(f"{where}: {type(error).__name__}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        where = _where(error, path)
        raise failure(f"{what} raised {type(error).__name__}: {reason}{where}") from error


def _where(error: BaseException, path: Path) -> str:
    """The innermost line of the user's file in the traceback, as " (FILE:LINE)"; "" where there is none."""
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f" ({path.name}:{lines[-1].lineno})" if lines else ""


@contextlib.contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    entry = str(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)
