"""Networks for images, with the layers, names and weights that they have in `keras.applications`.

The constructors have in common:

- `include_top`: whether the network classifies; otherwise it gives features.
- `weights`: None for new ones; the path of a file of weights (`.h5`, `.weights.h5`, `.keras`, `.safetensors`); or
  'imagenet' for those that Keras has published, from its cache (`~/.keras/models`, or `models` in the folder that
  the environment variable KERAS_HOME names), or downloaded to there.
- `input_tensor`: a symbolic tensor to use as the images.
- `input_shape`: of one image; without a top, rows and columns may be None.
- `pooling`: without a top, None for features per place, 'avg' or 'max' for their mean or maximum over the image.
- `classes`, `classifier_activation`: of the top; None as the activation gives logits.
- `name`: of the model.
"""

from oxiconv.applications import convnext as convnext
from oxiconv.applications import densenet as densenet
from oxiconv.applications import efficientnet as efficientnet
from oxiconv.applications import efficientnet_v2 as efficientnet_v2
from oxiconv.applications import imagenet_utils as imagenet_utils
from oxiconv.applications import inception_resnet_v2 as inception_resnet_v2
from oxiconv.applications import inception_v3 as inception_v3
from oxiconv.applications import mobilenet as mobilenet
from oxiconv.applications import mobilenet_v2 as mobilenet_v2
from oxiconv.applications import mobilenet_v3 as mobilenet_v3
from oxiconv.applications import nasnet as nasnet
from oxiconv.applications import resnet as resnet
from oxiconv.applications import resnet50 as resnet50
from oxiconv.applications import resnet_v2 as resnet_v2
from oxiconv.applications import vgg16 as vgg16
from oxiconv.applications import vgg19 as vgg19
from oxiconv.applications import xception as xception
from oxiconv.applications.convnext import ConvNeXtBase, ConvNeXtLarge, ConvNeXtSmall, ConvNeXtTiny, ConvNeXtXLarge
from oxiconv.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from oxiconv.applications.efficientnet import (
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetB4,
    EfficientNetB5,
    EfficientNetB6,
    EfficientNetB7,
)
from oxiconv.applications.efficientnet_v2 import (
    EfficientNetV2B0,
    EfficientNetV2B1,
    EfficientNetV2B2,
    EfficientNetV2B3,
    EfficientNetV2L,
    EfficientNetV2M,
    EfficientNetV2S,
)
from oxiconv.applications.inception_resnet_v2 import InceptionResNetV2
from oxiconv.applications.inception_v3 import InceptionV3
from oxiconv.applications.mobilenet import MobileNet
from oxiconv.applications.mobilenet_v2 import MobileNetV2
from oxiconv.applications.mobilenet_v3 import MobileNetV3Large, MobileNetV3Small
from oxiconv.applications.nasnet import NASNetLarge, NASNetMobile
from oxiconv.applications.resnet import ResNet50, ResNet101, ResNet152
from oxiconv.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from oxiconv.applications.vgg16 import VGG16
from oxiconv.applications.vgg19 import VGG19
from oxiconv.applications.xception import Xception

__all__ = [
    "VGG16",
    "VGG19",
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetLarge",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "Xception",
]
