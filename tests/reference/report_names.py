"""Writes `docs/keras_api.md`: every public name of Keras, and what oxiconv has for it.

python tests/reference/report_names.py
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "keras_api.md"
INTRODUCTION = """# Keras's names

Every public name of Keras {version}, and what oxiconv has for it. Tier 1 is what every tutorial uses, 2 what the first
real project meets, 3 what is nice to have, and - lies outside: text, tables, audio, other frameworks, quantization,
several devices. A name that is present takes Keras's parameters, by name and place, with its defaults. A name that is
absent raises an error that says what to use.

`python tests/reference/report_names.py` writes this file, of the record that `record_names.py` made under real Keras.

| tier | names | present | absent on purpose | missing | other parameters |
| --- | ---: | ---: | ---: | ---: | ---: |
{totals}
"""


def report() -> str:
    """The text of the file."""
    from reference.names import Name, compare, record, tier
    from reference.record_names import FILE as names_file

    rows: list[tuple[str, str, Name, str, str]] = []
    for name in record().values():
        found = compare(name)
        module = name.owner
        while module in record() and record()[module].kind == "class":
            module = record()[module].owner
        rows.append((module, tier(name), name, found.state, found.detail))
    totals = []
    for one in ("1", "2", "3", "-"):
        states = [state for _, level, _, state, _ in rows if level == one]
        counts = [states.count(state) for state in ("present", "absent", "missing", "differs")]
        totals.append(f"| {one} | {len(states)} | " + " | ".join(map(str, counts)) + " |")
    version = names_file.read_text().split(",")[0].rpartition(" ")[2]
    text = [INTRODUCTION.format(version=version, totals="\n".join(totals))]
    for module, group in groupby(sorted(rows, key=lambda row: (row[0], row[2].path)), key=lambda row: row[0]):
        text.append(f"\n## {f'keras.{module}' if module else 'keras'}\n\n| name | tier | here |\n| --- | --- | --- |\n")
        text += [f"| `{name.path}` | {level} | {_cell(state, detail)} |\n" for _, level, name, state, detail in group]
    return "".join(text)


def _cell(state: str, detail: str) -> str:
    return f"{state}: {detail}".replace("|", "\\|") if detail else state


def states(text: str) -> dict[str, str]:
    """What the file says of each name."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].removeprefix("| `").removesuffix("`"): row[2].removesuffix(" |").partition(":")[0] for row in rows}


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    FILE.write_text(report())
