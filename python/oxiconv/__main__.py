"""The command line: `oxiconv demo` and `oxiconv info`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status: 0, 1 on an error, 2 on bad usage, 130 on Ctrl-C."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        print("oxiconv: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has gone, as in `oxiconv info | head -1`. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, ValueError) as error:
        print(f"oxiconv: error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oxiconv", description="Convolutional networks with Keras's API.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo",
        help="train a small network, save it, and draw its predictions",
        description="Trains the network of Keras's mnist_convnet example, prints its accuracy on the test set, saves "
        "the model, loads it again and compares, and draws test pictures with the predicted labels. The data set "
        "'glyphs' is drawn on the spot; the others are read from OXICONV_DATA_DIR or downloaded.",
    )
    demo.add_argument("--data", choices=("glyphs", "mnist", "fashion_mnist"), default="glyphs", help="default: glyphs")
    demo.add_argument(
        "--epochs", type=_at_least(1), metavar="N", help="passes over the training set; default: 8, or 3 for a real set"
    )
    demo.add_argument(
        "--samples",
        type=_at_least(10),
        metavar="N",
        help="training pictures; default: 10000 glyphs, or a whole real set",
    )
    demo.add_argument(
        "--seed", type=_at_least(0), default=0, metavar="N", help="of data, weights and order; default: 0"
    )
    demo.add_argument("--threads", type=_at_least(1), metavar="N", help="default: one per core")
    demo.add_argument(
        "--out", type=Path, default=Path("oxiconv-demo"), metavar="DIR", help="for the files; default: ./oxiconv-demo"
    )
    demo.set_defaults(command=_demo)

    about = "print version, instruction set, threads and folders"
    info = commands.add_parser("info", help=about, description=about.capitalize() + ".")
    info.set_defaults(command=_info)
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"must be an integer of at least {least}, got {text!r}")
        return value

    return parse


def _demo(options: argparse.Namespace) -> int:
    from oxiconv.demo import run

    run(
        data=options.data,
        epochs=options.epochs,
        samples=options.samples,
        seed=options.seed,
        threads=options.threads,
        folder=options.out,
    )
    return 0


def _info(options: argparse.Namespace) -> int:
    import platform

    import numpy as np

    import oxiconv
    from oxiconv.cache import cache_folder

    rows = {
        "oxiconv": oxiconv.__version__,
        "instruction set": oxiconv.config.isa(),
        "threads": f"{oxiconv.config.num_threads()} of {os.cpu_count()} cores",
        "cache folder": cache_folder(),
        "data folder": os.environ.get("OXICONV_DATA_DIR") or "the cache folder (OXICONV_DATA_DIR is not set)",
        "Python": f"{platform.python_version()}, NumPy {np.__version__}, {platform.platform()}",
    }
    for name, value in rows.items():
        print(f"{name:<16} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
