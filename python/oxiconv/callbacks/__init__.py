"""Callbacks: what happens around epochs and batches."""

from oxiconv.absent import getter
from oxiconv.callbacks.backup_and_restore import BackupAndRestore
from oxiconv.callbacks.callback import Callback
from oxiconv.callbacks.callback_list import CallbackList
from oxiconv.callbacks.csv_logger import CSVLogger
from oxiconv.callbacks.early_stopping import EarlyStopping, TerminateOnNaN
from oxiconv.callbacks.history import History
from oxiconv.callbacks.lambda_callback import LambdaCallback
from oxiconv.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from oxiconv.callbacks.model_checkpoint import ModelCheckpoint
from oxiconv.callbacks.monitoring import MonitorCallback
from oxiconv.callbacks.progbar_logger import ProgbarLogger
from oxiconv.callbacks.remote_monitor import RemoteMonitor
from oxiconv.callbacks.swap_ema_weights import SwapEMAWeights
from oxiconv.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]

__getattr__ = getter(__name__)
