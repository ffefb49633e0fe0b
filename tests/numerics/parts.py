"""Everything of Trivium that is measured here: a refactoring changes this file and no other."""

from trivium import config as config
from trivium.config import recipe_names as recipe_names
from trivium.config import register as register
from trivium.config import without_numerics as without_numerics
from trivium.data.batches import gather as gather
from trivium.data.batches import modality_inputs_of as modality_inputs_of
from trivium.data.prepare import prepare as prepare
from trivium.encoders.checkpoint import load_encoder as load_encoder
from trivium.encoders.checkpoint import save_encoder as save_encoder
from trivium.encoders.towers import Towers as Towers
from trivium.evaluation.knn import KNNProbe as KNNProbe
from trivium.evaluation.linear import LinearProbe as LinearProbe
from trivium.evaluation.linear_retrieval import RidgeRetrieval as RidgeRetrieval
from trivium.evaluation.linear_retrieval import (
    evaluate_linear_retrieval as evaluate_linear_retrieval,
)
from trivium.evaluation.pair_search import search as search
from trivium.evaluation.pairs import evaluate_retrieval as evaluate_retrieval
from trivium.evaluation.protocol import Protocol as Protocol
from trivium.evaluation.protocol import evaluate as evaluate
from trivium.evaluation.representation import alignment as alignment
from trivium.evaluation.representation import alpha_req as alpha_req
from trivium.evaluation.representation import lidar as lidar
from trivium.evaluation.representation import linear_cka as linear_cka
from trivium.evaluation.representation import rankme as rankme
from trivium.evaluation.representation import uniformity as uniformity
from trivium.evaluation.zero_shot import zero_shot as zero_shot
from trivium.features import embed as embed
from trivium.training.datamodule import StoreData as StoreData
from trivium.training.fitting import fill_missing as fill_missing
from trivium.training.module import TrainingModule as TrainingModule
from trivium.training.settings import TrainerSettings as TrainerSettings
from trivium.training.trainer import fit as fit
from trivium.transforms.multimodal import MultimodalViews as MultimodalViews
from trivium.types import Objective as Objective
from trivium.types import kind_of as kind_of
