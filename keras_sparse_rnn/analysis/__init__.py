"""Understanding topologies: how far apart, how long-lived, how connected.

Everything here looks on: nothing changes a model. What SciPy or matplotlib
are needed for says so if they are missing.
"""

from keras_sparse_rnn.analysis.connections import Connections
from keras_sparse_rnn.analysis.connections import NetworkTopology
from keras_sparse_rnn.analysis.connections import Units
from keras_sparse_rnn.analysis.degrees import degree_distribution
from keras_sparse_rnn.analysis.degrees import degrees
from keras_sparse_rnn.analysis.degrees import degrees_by_gate
from keras_sparse_rnn.analysis.degrees import random_degree_distribution
from keras_sparse_rnn.analysis.exploration import exploration_rates
from keras_sparse_rnn.analysis.history_plots import plot_exploration
from keras_sparse_rnn.analysis.history_plots import plot_survival
from keras_sparse_rnn.analysis.history_plots import plot_topology_distance
from keras_sparse_rnn.analysis.network_topology import network_topology
from keras_sparse_rnn.analysis.plots import plot_degrees
from keras_sparse_rnn.analysis.plots import plot_masks
from keras_sparse_rnn.analysis.recorded_topologies import RecordedTopologies
from keras_sparse_rnn.analysis.recorded_topologies import load_topologies
from keras_sparse_rnn.analysis.survival import SurvivalCurve
from keras_sparse_rnn.analysis.survival import cohort_survival
from keras_sparse_rnn.analysis.survival import newborn_survival
from keras_sparse_rnn.analysis.survival import survival_curve
from keras_sparse_rnn.analysis.topology_distance import distance_matrix
from keras_sparse_rnn.analysis.topology_distance import edit_distance
from keras_sparse_rnn.analysis.topology_distance import nnstd
from keras_sparse_rnn.analysis.unit_matching import layer_distances
from keras_sparse_rnn.analysis.unit_matching import match_units

__all__ = [
    "Connections",
    "NetworkTopology",
    "RecordedTopologies",
    "SurvivalCurve",
    "Units",
    "cohort_survival",
    "degree_distribution",
    "degrees",
    "degrees_by_gate",
    "distance_matrix",
    "edit_distance",
    "exploration_rates",
    "layer_distances",
    "load_topologies",
    "match_units",
    "network_topology",
    "newborn_survival",
    "nnstd",
    "plot_degrees",
    "plot_exploration",
    "plot_masks",
    "plot_survival",
    "plot_topology_distance",
    "random_degree_distribution",
    "survival_curve",
]
