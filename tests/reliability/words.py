"""Rows 23 and 24: prompts and names."""

import json
import os

import numpy as np

from tests.reliability.arrays import joints, lines
from tests.reliability.scene import Ended, Scene, row

SHORT = ("--seconds", "1", "--steps", "2", "--json")


@row(23)
def prompts(scene: Scene) -> None:
    """Prompts: empty file, blank lines, 10,000 words, NUL, Latin-1, BOM, CRLF, emoji, Chinese."""

    def sampled(name: str, content: bytes) -> Ended:
        (scene.place / f"{name}.txt").write_bytes(content)
        return scene.run("sample", "--text-file", f"{name}.txt", *SHORT, "--out", name)

    scene.refused(sampled("empty", b""), "empty.txt")
    scene.refused(sampled("blank", b"\n\n   \r\n"), "blank.txt")
    scene.refused(sampled("nul", b"walk\nwa\0ve\n"), "nul.txt", "line 2", "NUL")
    scene.refused(sampled("latin", "walk\nein Läufer\n".encode("latin-1")), "latin.txt", "line 2", "UTF-8")
    scene.refused(sampled("utf16", "walk\nwave\n".encode("utf-16")[:-1]), "utf16.txt", "UTF-16")
    plain = lines(scene.done(sampled("plain", b"a person walks\nsomeone waves\n")))
    marked = lines(scene.done(sampled("marked", b"\xef\xbb\xbfa person walks\r\n\r\nsomeone waves\r\n")))
    scene.want(len(plain) == 2, "not two motions")
    for ours, theirs in zip(plain, marked, strict=False):
        scene.want(ours["prompt"] == theirs["prompt"], f"BOM or CRLF is seen: {theirs['prompt']!r}")
        same = np.array_equal(np.load(scene.place / ours["file"]), np.load(scene.place / theirs["file"]))
        scene.want(same, "another motion with BOM and CRLF")
    words = "🏃 läuft\n一个人在走路\n" + "walk " * 10_000 + "\n"
    long = scene.done(sampled("long", words.encode()), "cut")
    found = lines(long)
    scene.want(
        [each["prompt"] for each in found[:2]] == ["🏃 läuft", "一个人在走路"], "prompts came out otherwise"
    )
    scene.want(len({each["file"] for each in found}) == 3, "files were overwritten")
    judged = scene.run("score", found[0]["file"], "--text", "walk " * 10_000, "--terms", "semantic", "--json")
    scene.done(judged, "cut")


@row(24)
def names(scene: Scene) -> None:
    """Duplicate stems; names with spaces, newline, leading `-`, non-UTF-8 bytes."""
    odd = ("a b.npy", "a\nb.npy", "-x.npy", os.fsdecode(b"\xff\xfe.npy"), "--out.npy")
    for folder in ("one", "two"):
        (scene.place / folder).mkdir()
        for name in ("walk.npy", *odd):
            np.save(scene.place / folder / name, joints())
    to = ("convert", "--to", "joints", "--json", "--out")
    ended = scene.done(scene.run(*to, "stems", "one/walk.npy", "two/walk.npy"))
    files = list((scene.place / "stems").rglob("*.npy"))
    scene.want(len(files) == 2 and len(lines(ended)) == 2, f"{files}")
    one = scene.place / "one"
    scene.done(scene.run(*to, "../dashes", "--", "-x.npy", "--out.npy", cwd=one))
    scene.want(len(list((scene.place / "dashes").glob("*.npy"))) == 2, "a name with - in front is lost")
    listed = b"".join(os.fsencode(one / name) + b"\0" for name in odd)
    ended = scene.done(scene.run(*to, "nulls", "-", "--null", stdin=listed))
    found = {os.fsencode(path.name) for path in (scene.place / "nulls").iterdir()}
    scene.want(found == {os.fsencode(name) for name in odd}, f"{found}")
    for line in ended.out.splitlines():
        json.loads(line)
    ended = scene.refused(scene.run("score", "one/-x.npy", "--out.npy", "--terms", "physics"), "--out.npy")
    twice = scene.run(*to, "same", "one/walk.npy", "one/walk.npy", "one/../one/walk.npy")
    scene.want(twice.code in (0, 2), f"exit {twice.code}")
    if twice.code == 0:
        said, there = len(lines(twice)), len(list((scene.place / "same").rglob("*.npy")))
        scene.want(said == there, f"{said} motions written, {there} are there")
