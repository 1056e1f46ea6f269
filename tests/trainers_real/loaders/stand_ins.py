"""Stand-ins for packages that a trainer imports at the top of a file and that its loader does not need.

A package that is installed is never replaced.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types


class _Anything:
    """An object that can be called, subclassed, indexed and asked for anything."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __call__(self, *args: object, **kwargs: object) -> object:
        is_decorator = len(args) == 1 and callable(args[0]) and not kwargs
        return args[0] if is_decorator else self

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __mro_entries__(self, bases: tuple[type, ...]) -> tuple[type, ...]:
        return (object,)

    def __iter__(self) -> object:
        return iter(())

    def __getitem__(self, key: object) -> object:
        return self

    def __or__(self, other: object) -> object:
        return self

    __ror__ = __or__


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (_Anything,), {}) if name[:1].isupper() else _Anything()
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name.partition(".")[0] in self._names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = _Module(spec.name)
        module.__path__ = []
        module.__version__ = "99.0"  # new enough for whoever asks
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def stand_in_for(*names: str) -> None:
    """Make imports of these top-level packages work where they are not installed."""
    missing = {name for name in names if importlib.util.find_spec(name) is None}
    sys.meta_path.append(_Finder(missing))


def lend(package: str, *names: str) -> None:
    """Give an installed package what a newer version has dropped and a trainer still names."""
    module = importlib.import_module(package)
    for name in names:
        if not hasattr(module, name):
            setattr(module, name, type(name, (_Anything,), {}))
