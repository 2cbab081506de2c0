"""The networks of `applications` compared with Keras's: first under real Keras, then under oxiconv.

    python tests/reference/applications.py keras FOLDER [NAME ...]
    python tests/reference/applications.py oxiconv FOLDER [NAME ...]

The first builds each network, writes its weights, random ones, and what it predicts with them into FOLDER, and its
layers, names and shapes, condensed, into `values/applications.json`. The second loads the weights and prints how far
its predictions are from Keras's, relative to the largest.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

RECORD = Path(__file__).parent / "values" / "applications.json"
SMALL = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


def listing(model: Any) -> str:
    """The layers of a model in order: names, classes, shapes of weights; of nested models too."""
    lines = []
    for layer in model.layers:
        weights = [f"{w.name}{list(map(int, w.shape))}" for w in layer.weights]
        lines.append(f"{layer.name} {type(layer).__name__} {' '.join(weights)}")
        if hasattr(layer, "layers"):
            lines.append(f"[{listing(layer)}]")
    return "\n".join(lines)


def describe(model: Any) -> dict[str, Any]:
    """Counts, and a digest of the layers."""
    sizes = [int(np.prod(w.shape)) for w in model.weights]
    return {
        "params": sum(sizes),
        "trainable": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "weights": len(sizes),
        "layers": len(model.layers),
        "digest": hashlib.sha256(listing(model).encode()).hexdigest()[:16],
    }


def names(applications: Any) -> list[str]:
    """The constructors, smaller networks first."""
    return sorted(name for name in dir(applications) if name[0].isupper())


def small(applications: Any, name: str) -> Any:
    """The network for small images and few classes."""
    size = SMALL.get(name, 64)
    return getattr(applications, name)(
        weights=None,
        classes=7,
        input_shape=(size, size, 3),
        classifier_activation=None,
        name="small" if not name.startswith("EfficientNetV2") else f"efficientnetv2-{name[14:].lower()}",
    )


def images(name: str) -> Any:
    """Two images, with values from 0 to 255 or from -1 to 1."""
    inside = name.startswith(("EfficientNet", "ConvNeXt", "MobileNetV3"))
    size = SMALL.get(name, 64)
    x = np.random.default_rng(3).uniform(-1, 1, (2, size, size, 3))
    return ((x + 1) * 127.5 if inside else x).astype(np.float32)


def record(folder: Path, chosen: list[str]) -> None:
    """Under real Keras."""
    import keras

    found = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in chosen or names(keras.applications):
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        rng = np.random.default_rng(2)
        model = small(keras.applications, name)
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                # What blocks add to their shortcuts stays small: deep networks of random weights are chaotic else.
                scale = 0.3 if layer.name.endswith("project_bn") else 1.0
                change = {"gamma": (scale, 0.0), "beta": (1.0, -1.0), "moving_mean": (1.0, -1.0)}
                factors = [change.get(w.name, (1.0, 0.0)) for w in layer.weights]
                layer.set_weights(
                    [rng.uniform(0.7, 1.3, w.shape) * a + b for w, (a, b) in zip(layer.weights, factors, strict=True)]
                )
            if type(layer).__name__ == "LayerScale":
                layer.set_weights([rng.uniform(0.1, 0.3, w.shape) for w in layer.get_weights()])
        model.save_weights(folder / f"{name}.weights.h5")
        np.save(folder / f"{name}.npy", model.predict(images(name), verbose=0))
        keras.backend.clear_session()
        whole = getattr(keras.applications, name)(weights=None)
        bare = {}
        for pooling in ("avg", "max"):
            keras.backend.clear_session()
            bare[pooling] = describe(
                getattr(keras.applications, name)(weights=None, include_top=False, pooling=pooling)
            )
        found[name] = {"top": describe(whole), **bare}
        RECORD.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")
        print(name, found[name]["top"]["params"], flush=True)


def compare(folder: Path, chosen: list[str]) -> None:
    """Under oxiconv."""
    import oxiconv

    for name in chosen or names(oxiconv.applications):
        if not (folder / f"{name}.npy").exists():
            continue
        oxiconv.backend.clear_session()
        start = time.perf_counter()
        model = small(oxiconv.applications, name)
        model.load_weights(folder / f"{name}.weights.h5")
        expected = np.load(folder / f"{name}.npy")
        seen = model.predict(images(name), verbose=0)
        deviation = np.abs(seen - expected).max() / np.abs(expected).max()
        print(
            f"{name}: {deviation:.1e} of {np.abs(expected).max():.2g}, {time.perf_counter() - start:.1f} s", flush=True
        )


def main() -> None:
    """Runs one side."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    side, folder, *chosen = sys.argv[1:]
    Path(folder).mkdir(exist_ok=True, parents=True)
    (record if side == "keras" else compare)(Path(folder), chosen)


if __name__ == "__main__":
    main()
