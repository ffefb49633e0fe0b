"""Everything of Trivium that is measured here: a refactoring changes this file and no other."""

from trivium import config as config
from trivium.config import recipe_names as recipe_names
from trivium.config import register as register
from trivium.data.batches import gather as gather
from trivium.data.batches import senses_of as senses_of
from trivium.data.catalogue import prepare as prepare
from trivium.embedding import embed as embed
from trivium.encoders.checkpoint import load_encoder as load_encoder
from trivium.encoders.checkpoint import save_encoder as save_encoder
from trivium.encoders.towers import Towers as Towers
from trivium.pretraining.data import StoreData as StoreData
from trivium.pretraining.missing import fill_missing as fill_missing
from trivium.pretraining.module import PARADIGMS as PARADIGMS
from trivium.pretraining.settings import trainer_settings as trainer_settings
from trivium.pretraining.training import run_trainer as run_trainer
from trivium.probes.diagnostics import alignment as alignment
from trivium.probes.diagnostics import alpha_req as alpha_req
from trivium.probes.diagnostics import lidar as lidar
from trivium.probes.diagnostics import rankme as rankme
from trivium.probes.diagnostics import uniformity as uniformity
from trivium.probes.knn import KNNProbe as KNNProbe
from trivium.probes.linear import LinearProbe as LinearProbe
from trivium.probes.linear_retrieval import evaluate_linear_retrieval as evaluate_linear_retrieval
from trivium.probes.pairs import evaluate_retrieval as evaluate_retrieval
from trivium.probes.protocol import Protocol as Protocol
from trivium.probes.protocol import evaluate as evaluate
from trivium.probes.ridge_retrieval import RidgeRetrieval as RidgeRetrieval
from trivium.probes.search import search as search
from trivium.probes.similarity import linear_cka as linear_cka
from trivium.probes.zero_shot import zero_shot as zero_shot
from trivium.types import Objective as Objective
from trivium.types import kind_of as kind_of
from trivium.views.several import SeveralRecipe as SeveralRecipe

without_numerics = getattr(config, "without_numerics", lambda values: values)
"""Takes the keys `numerics` out of a config's values."""
