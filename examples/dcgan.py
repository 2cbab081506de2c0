"""Generation: a deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434) with two optimizers and a `train_step`.

Where MNIST is neither on this machine nor to be downloaded, it learns drawn digits.

    python examples/dcgan.py              # and writes generated digits to dcgan.png
    python examples/dcgan.py --quick      # a few pictures, one epoch, no picture: only shows that it runs
"""

import argparse

import oxiconv as keras

layers, ops = keras.layers, keras.ops

parser = argparse.ArgumentParser(description="Trains a DCGAN on digits.")
parser.add_argument("--quick", action="store_true", help="256 pictures, one epoch")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()
keras.utils.set_random_seed(6)
LATENT = 64

discriminator = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(64, 4, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Conv2D(128, 4, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(1),
    ],
    name="discriminator",
)
generator = keras.Sequential(
    [
        keras.Input((LATENT,)),
        layers.Dense(7 * 7 * 128, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Reshape((7, 7, 128)),
        layers.Conv2DTranspose(64, 4, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="tanh"),
    ],
    name="generator",
)


class GAN(keras.Model):
    """One step of the discriminator on real and made pictures, then one of the generator."""

    def __init__(self, discriminator, generator):
        super().__init__()
        self.discriminator, self.generator = discriminator, generator
        self.seed = keras.random.SeedGenerator(7)

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn
        self.d_loss, self.g_loss = keras.metrics.Mean("d_loss"), keras.metrics.Mean("g_loss")

    @property
    def metrics(self):
        return [self.d_loss, self.g_loss]

    def train_step(self, real):
        count = ops.shape(real)[0]
        codes = keras.random.normal((count, LATENT), seed=self.seed)
        made = self.generator(codes, training=True)
        both = ops.concatenate([real, made], axis=0)
        # Real is 0.9 rather than 1: one-sided label smoothing.
        labels = ops.concatenate([ops.full((count, 1), 0.9), ops.zeros((count, 1))], axis=0)
        with keras.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(both, training=True))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights))

        codes = keras.random.normal((count, LATENT), seed=self.seed)
        with keras.GradientTape() as tape:
            verdict = self.discriminator(self.generator(codes, training=True), training=True)
            g_loss = self.loss_fn(ops.ones((count, 1)), verdict)
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights))
        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}


try:
    (digits, _), _ = keras.datasets.mnist.load_data()
except OSError as error:
    print(f"{error}\nTraining on drawn digits instead.")
    (digits, _), _ = keras.datasets.glyphs.load_data(train=256 if options.quick else 10000, test=1)
if options.quick:
    digits = digits[:256]
digits = digits[..., None].astype("float32") / 127.5 - 1

gan = GAN(discriminator, generator)
gan.compile(
    keras.optimizers.Adam(2e-4, beta_1=0.5),
    keras.optimizers.Adam(2e-4, beta_1=0.5),
    keras.losses.BinaryCrossentropy(from_logits=True),
)
history = gan.fit(digits, epochs=1 if options.quick else options.epochs, batch_size=64, verbose=2)

codes = keras.random.normal((64, LATENT), seed=8)
pictures = ops.convert_to_numpy(generator(codes, training=False))
if not options.quick:
    sheet = pictures.reshape(8, 8, 28, 28).transpose(0, 2, 1, 3).reshape(224, 224, 1)
    keras.utils.save_img("dcgan.png", sheet)
print("Generator's loss:", history.history["g_loss"][-1])
print("Discriminator's loss:", history.history["d_loss"][-1])
