"""Watching: cameras in, incidents and evidence out.

The module itself can be called: `jikimi.watch(...)` is `jikimi.watch.pipeline.watch(...)`. Python binds a
subpackage as an attribute of its parent once it is imported, so a function of the same name in
`jikimi/__init__.py` would be replaced by the module at some import or other; a callable module is both.
"""

import sys
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from jikimi.watch.pipeline import watch

        return watch(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
