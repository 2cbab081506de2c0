"""Generation: a variational autoencoder (Kingma and Welling 2013, arXiv:1312.6114) with its own `train_step`.

Where MNIST is neither on this machine nor to be downloaded, it learns drawn digits.

    python examples/vae.py                # and writes generated digits to vae.png
    python examples/vae.py --quick        # a few pictures, one epoch, no picture: only shows that it runs
"""

import argparse

import numpy as np

import oxiconv as keras

layers, ops = keras.layers, keras.ops

parser = argparse.ArgumentParser(description="Trains a variational autoencoder on digits.")
parser.add_argument("--quick", action="store_true", help="256 pictures, one epoch")
parser.add_argument("--epochs", type=int, default=15)
options = parser.parse_args()
keras.utils.set_random_seed(5)
LATENT = 2


class Sampling(layers.Layer):
    """A draw from the normal distribution of a mean and the logarithm of a variance."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(6)

    def call(self, inputs):
        mean, log_variance = inputs
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed)


inputs = keras.Input((28, 28, 1))
x = layers.Conv2D(32, 3, activation="relu", strides=2, padding="same")(inputs)
x = layers.Conv2D(64, 3, activation="relu", strides=2, padding="same")(x)
x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
mean, log_variance = layers.Dense(LATENT, name="mean")(x), layers.Dense(LATENT, name="log_variance")(x)
encoder = keras.Model(inputs, [mean, log_variance, Sampling()([mean, log_variance])], name="encoder")

code = keras.Input((LATENT,))
x = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(code))
x = layers.Conv2DTranspose(64, 3, activation="relu", strides=2, padding="same")(x)
x = layers.Conv2DTranspose(32, 3, activation="relu", strides=2, padding="same")(x)
decoder = keras.Model(code, layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x), name="decoder")


class VAE(keras.Model):
    """Reconstruction and divergence from the standard normal distribution, summed over a picture."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.trackers = [keras.metrics.Mean(name) for name in ("loss", "reconstruction", "divergence")]

    @property
    def metrics(self):
        return self.trackers

    def train_step(self, data):
        with keras.GradientTape() as tape:
            mean, log_variance, code = self.encoder(data, training=True)
            found = self.decoder(code, training=True)
            reconstruction = ops.mean(ops.sum(keras.losses.binary_crossentropy(data, found), axis=(1, 2)))
            divergence = -0.5 * (1 + log_variance - ops.square(mean) - ops.exp(log_variance))
            divergence = ops.mean(ops.sum(divergence, axis=1))
            loss = reconstruction + divergence
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        for tracker, value in zip(self.trackers, (loss, reconstruction, divergence), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


try:
    (train, _), (test, _) = keras.datasets.mnist.load_data()
    digits = np.concatenate([train, test])
except OSError as error:
    print(f"{error}\nTraining on drawn digits instead.")
    (digits, _), _ = keras.datasets.glyphs.load_data(train=256 if options.quick else 10000, test=1)
if options.quick:
    digits = digits[:256]
digits = digits[..., None].astype("float32") / 255

vae = VAE(encoder, decoder)
vae.compile(optimizer=keras.optimizers.Adam())
history = vae.fit(digits, epochs=1 if options.quick else options.epochs, batch_size=128, verbose=2)

# A map of the latent plane.
steps = np.linspace(-1.8, 1.8, 12, dtype="float32")
codes = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, LATENT)
pictures = decoder.predict(codes, verbose=0).reshape(12, 12, 28, 28).transpose(0, 2, 1, 3).reshape(336, 336, 1)
if not options.quick:
    keras.utils.save_img("vae.png", pictures)
print("Final loss:", history.history["loss"][-1])
