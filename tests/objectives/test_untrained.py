import pytest

from trivium.objectives.control.untrained import Untrained


def test_adds_nothing_to_the_encoder(encoder, data):
    objective = Untrained(encoder, data)
    assert len(list(objective.parameters())) == len(list(encoder.parameters()))


def test_a_training_step_is_refused(encoder, data, one_view):
    with pytest.raises(RuntimeError, match="is not trained"):
        Untrained(encoder, data)(one_view)
