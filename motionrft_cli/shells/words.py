"""What a shell needs to know of commands, options and words; and how it is written into a script."""

from dataclasses import dataclass

SHELLS = ("bash", "zsh", "fish")
KEYS = ("--set", "--explain")
"""Options that take the dotted path of a setting."""


@dataclass(frozen=True)
class Word:
    """Something to complete, and what it is; an empty help where nothing needs saying."""

    word: str
    help: str = ""


@dataclass(frozen=True)
class Flag:
    """One option as a shell needs to know it.

    words: for its value. files: names of files are offered as well. listed: several words with commas between.
    """

    names: tuple[str, ...]
    help: str
    takes_value: bool
    words: tuple[Word, ...] = ()
    files: bool = True
    listed: bool = False

    @property
    def asks(self) -> str:
        """What else than words its value is: `preset`, `key=` or `key`."""
        if "--preset" in self.names:
            return "preset"
        return "" if not set(KEYS) & set(self.names) else "key=" if "--set" in self.names else "key"


@dataclass(frozen=True)
class Command:
    """One subcommand: its options, the words of its first argument, the paths of its settings."""

    name: str
    help: str
    flags: tuple[Flag, ...]
    first: tuple[Word, ...] = ()
    keys: tuple[Word, ...] = ()


def with_words(commands: list[Command]) -> dict[Flag, list[str]]:
    """Each different set of words -> the places, `command:--flag`, where it is completed."""
    places: dict[tuple[object, ...], tuple[Flag, list[str]]] = {}
    for command in commands:
        for flag in command.flags:
            if flag.words:
                _, found = places.setdefault((flag.words, flag.files, flag.listed), (flag, []))
                found += [f"{command.name}:{name}" for name in flag.names]
    return dict(places.values())


def quoted(text: str) -> str:
    """In single quotes, for all three shells (fish reads a backslash before a quote, the others do not)."""
    return "'" + text.replace("'", "’").replace("\\", "/") + "'"
