"""YAML as presets need it: safe, without surprises, and refusing what would be read otherwise than it looks.

Differences from `yaml.safe_load`: a key given twice is an error, numbers like `1e-4` are numbers, only
`true` and `false` are booleans (`no` and `on` stay words, `4:30` is no number of seconds), and a document
that expands to an unreasonable size through aliases is refused before anything is built from it.
"""

import re
from typing import Any

import yaml

from motionrft.errors import UserError
from motionrft.parsing import parsing

MAX_BYTES = 1_000_000
MAX_NODES = 20_000  # after expanding aliases; the largest shipped preset has below a hundred


class PresetLoader(yaml.SafeLoader):
    """The safe loader with YAML 1.2's plain scalars; it knows no tag that makes a Python object."""


# A table of our own: the inherited one is shared with every other loader.
setattr(PresetLoader, "yaml_implicit_resolvers", {})  # noqa: B010  (typed differently by the stubs' releases)


class PresetDumper(yaml.SafeDumper):
    """Quotes every word that our loader, or one of YAML 1.1, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write values out instead of pointing to them."""
        return True


def _resolver(tag: str, pattern: str, first: str) -> None:
    for kind in (PresetLoader, PresetDumper):
        kind.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))


NUMBER = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
_resolver("null", r"~|null|Null|NULL", "~nN")
_resolver("bool", r"true|True|TRUE|false|False|FALSE", "tTfF")
_resolver("int", r"[-+]?[0-9]+", "-+0123456789")
_resolver("float", rf"{NUMBER}|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789")
PresetLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])


def _decimal(loader: PresetLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))  # YAML 1.1 would read 010 as eight


def _boolean(loader: PresetLoader, node: yaml.ScalarNode) -> bool:
    word = str(loader.construct_scalar(node)).lower()
    if word not in ("true", "false"):
        raise yaml.constructor.ConstructorError(None, None, f"{word!r} is no boolean", node.start_mark)
    return word == "true"


PresetLoader.add_constructor("tag:yaml.org,2002:int", _decimal)
PresetLoader.add_constructor("tag:yaml.org,2002:bool", _boolean)


def write_yaml(values: Any, width: int = 100) -> str:
    """The text that `read_yaml` reads as `values` again; lines are folded at `width`."""
    return yaml.dump(values, Dumper=PresetDumper, sort_keys=False, allow_unicode=True, width=width)


def read_yaml(text: str | bytes, source: str) -> Any:
    """Read one YAML document.

    Args:
        text: the document; at most 1 MB.
        source: how error messages call it (a file name, `--set key=...`).

    Raises:
        UserError: not YAML, a repeated key, a Python tag, or a size beyond the limits.
    """
    return _read(text, source, PresetLoader)


def read_foreign_yaml(text: str | bytes, source: str) -> Any:
    """Read another project's options as that project reads them (YAML 1.1), within the same limits.

    Raises:
        UserError: not YAML, a Python tag, or a size beyond the limits.
    """
    return _read(text, source, yaml.SafeLoader)


def _read(text: str | bytes, source: str, kind: type[yaml.SafeLoader]) -> Any:
    if len(text) > MAX_BYTES:
        raise UserError(f"{source}: {len(text) / 1e6:.1f} MB; settings have at most {MAX_BYTES / 1e6:.0f} MB")
    with parsing(source, "YAML"):
        try:
            return _document(text, source, kind)
        except yaml.YAMLError as error:
            raise UserError(f"{source}: {_one_line(error)}") from None


def _document(text: str | bytes, source: str, kind: type[yaml.SafeLoader]) -> Any:
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, source)
        if kind is PresetLoader:
            _check_keys(node, source, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if isinstance(error, yaml.constructor.ConstructorError) and "tag" in problem:
        problem = f"{problem} (presets hold plain values only, no Python objects)"
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + " ".join(problem.split())


def _check_size(root: yaml.Node, source: str) -> None:
    """Refuse an alias bomb: count the nodes as if every alias were written out, without writing them out."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise UserError(f"{source}: line {node.start_mark.line + 1}: an alias that contains itself")
        open_nodes.add(id(node))
        total = 1 + sum(size(child) for child in _children(node))
        open_nodes.remove(id(node))
        sizes[id(node)] = total
        return total

    if size(root) > MAX_NODES:
        raise UserError(f"{source}: expands to more than {MAX_NODES} values through its aliases; refused")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_keys(node: yaml.Node, source: str, seen: set[int]) -> None:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in lines:
                raise UserError(
                    f"{source}: line {line}: {name!r} is given twice (first in line {lines[name]})"
                )
            lines[name] = line
    for child in _children(node):
        _check_keys(child, source, seen)
