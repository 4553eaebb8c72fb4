"""One scalar of somebody else's YAML file: read it, or change it and nothing else.

    with_scalar(text, ("download", "pieceTimeout"), "600s")

Law: everything but that one value stays byte for byte: comments, order, quotes,
line ends.  What was changed is read again, and it must be that value alone.
A file in which that cannot be sure (the key twice, an anchor, a value over
several lines) is refused; it is a person's to change.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

import yaml

from watchdog.errors import Refused

Keys = Tuple[str, ...]


def scalar(text: str, path: Keys) -> Optional[str]:
    """The value at a path of keys as it is written, without its quotes; None where there is no scalar.

    Raises Refused for a text that is no YAML.
    """
    found = _scalars_at(_root(text), path)
    return str(found[-1].value) if found else None


def with_scalar(text: str, path: Keys, value: str) -> str:
    """The text with another value at that path.

    Raises Refused where the key is not there exactly once, or its line cannot be changed alone.
    """
    name, root = ".".join(path), _root(text)
    found = _scalars_at(root, path)
    if len(found) != 1:
        raise Refused(f"{name} is there {len(found)} times" if found else f"{name} is not written there")
    start, end = found[0].start_mark.index, found[0].end_mark.index
    old = text[start:end]
    quote = old[0] if old[:1] in ("'", '"') else ""
    if old != f"{quote}{found[0].value}{quote}":  # an anchor, a tag, several lines, an escape
        raise Refused(f"{name} is not written in a way that could be changed alone")
    changed = text[:start] + quote + value + quote + text[end:]
    _check_alone(root, changed, path, value)
    return changed


def _check_alone(before: Optional[yaml.Node], changed: str, path: Keys, value: str) -> None:
    """Read it again: that value is there, and no other is another."""
    wanted = [(key, value if key == path else old) for key, old in _leaves(before, ())]
    if list(_leaves(_root(changed), ())) != wanted:
        raise Refused(f"to change {'.'.join(path)} would change something else as well")


def _root(text: str) -> Optional[yaml.Node]:
    try:
        root: Optional[yaml.Node] = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise Refused(f"it is no YAML: {' '.join(str(error).split())[:200]}") from None
    except RecursionError:
        raise Refused("it is nested too deeply to be a configuration") from None
    return root


def _scalars_at(node: Optional[yaml.Node], path: Sequence[str]) -> List[yaml.ScalarNode]:
    """The scalars at that path: more than one where a key is given twice."""
    if not path:
        return [node] if isinstance(node, yaml.ScalarNode) else []
    if not isinstance(node, yaml.MappingNode):
        return []
    below = [value for key, value in node.value if _is_key(key, path[0])]
    return [one for value in below for one in _scalars_at(value, path[1:])]


def _is_key(node: yaml.Node, name: str) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == name


def _leaves(node: Optional[yaml.Node], path: Keys) -> Iterator[Tuple[Keys, str]]:
    """Every scalar with its path; items of a list by their place.  Aliases are followed."""
    if isinstance(node, yaml.ScalarNode):
        yield path, str(node.value)
    elif isinstance(node, yaml.SequenceNode):
        for number, one in enumerate(node.value):
            yield from _leaves(one, (*path, str(number)))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            yield from _leaves(value, (*path, name))
