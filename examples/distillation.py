"""Knowledge distillation (Hinton et al. 2015, arXiv:1503.02531): a small network learns a large one's soft answers.

Uses Fashion-MNIST where it is on this machine or can be downloaded, else drawn digits.

    python examples/distillation.py
    python examples/distillation.py --quick    # a few pictures, one epoch: only shows that it runs
"""

import argparse

import oxiconv as keras

layers, ops = keras.layers, keras.ops

parser = argparse.ArgumentParser(description="Distils a convolutional network into a smaller one.")
parser.add_argument("--quick", action="store_true", help="512 pictures, one epoch")
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()
keras.utils.set_random_seed(14)

try:
    (x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
except OSError as error:
    print(f"{error}\nTraining on drawn digits instead.")
    count = 512 if options.quick else 10000
    (x_train, y_train), (x_test, y_test) = keras.datasets.glyphs.load_data(train=count, test=count // 4)
if options.quick:
    x_train, y_train, x_test, y_test = x_train[:512], y_train[:512], x_test[:128], y_test[:128]
x_train, x_test = (x[..., None].astype("float32") / 255 for x in (x_train, x_test))


def network(filters, name):
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(filters, 3, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.MaxPooling2D(2, strides=1, padding="same"),
            layers.Conv2D(2 * filters, 3, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Flatten(),
            layers.Dense(10),
        ],
        name=name,
    )


class Distiller(keras.Model):
    """Trains the student on the labels and on the teacher's answers at a temperature."""

    def __init__(self, student, teacher):
        super().__init__()
        self.student, self.teacher = student, teacher

    def compile(self, optimizer, metrics, student_loss, distillation_loss, alpha=0.1, temperature=4.0):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss, self.distillation_loss = student_loss, distillation_loss
        self.alpha, self.temperature = alpha, temperature

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        answers = ops.stop_gradient(self.teacher(x, training=False))
        soft = [ops.softmax(scores / self.temperature, axis=1) for scores in (answers, y_pred)]
        # Gradients of the soft answers shrink with the square of the temperature.
        distillation = self.distillation_loss(*soft) * self.temperature**2
        return self.alpha * self.student_loss(y, y_pred) + (1 - self.alpha) * distillation

    def call(self, x, training=None):
        return self.student(x, training=training)


epochs = 1 if options.quick else options.epochs
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
teacher, student = network(128, "teacher"), network(8, "student")
alone = keras.models.clone_model(student)

teacher.compile("adam", loss, metrics=["accuracy"])
teacher.fit(x_train, y_train, 128, epochs, verbose=2)
print("Teacher:", teacher.evaluate(x_test, y_test, verbose=0)[1])
teacher.trainable = False

distiller = Distiller(student, teacher)
distiller.compile("adam", ["accuracy"], loss, keras.losses.KLDivergence())
distiller.fit(x_train, y_train, 128, epochs, verbose=2)
student.compile(loss=loss, metrics=["accuracy"])

alone.compile("adam", loss, metrics=["accuracy"])
alone.fit(x_train, y_train, 128, epochs, verbose=0)
print("Student alone:", alone.evaluate(x_test, y_test, verbose=0)[1])
print("Test accuracy:", student.evaluate(x_test, y_test, verbose=0)[1])
