import pytest
from omegaconf import OmegaConf

from trivium.config import numerics_of, plain, prune, register, without_numerics


def test_basename_resolver():
    register()
    config = OmegaConf.create({"a": "x/y/z", "b": "${basename:${a}}"})
    assert plain(config)["b"] == "z"


def test_plain_refuses_open_values():
    with pytest.raises(Exception, match="Missing mandatory value: a"):
        plain(OmegaConf.create({"a": "???"}))


def test_prune_keeps_the_wanted_recipe_alone():
    values = {
        "data": {"modality": "image"},
        "objective_views": "plain",
        "views": {"image": {"numerics": 4, "plain": 1, "mild": 2}, "text": {"plain": 3}},
    }
    assert prune(values)["views"] == {"image": {"numerics": 4, "plain": 1}}
    with pytest.raises(ValueError, match="objective_views=blurry is unknown; recipes for image"):
        prune({**values, "objective_views": "blurry"})


def test_numerics_is_no_recipe():
    values = {
        "data": {"modality": "image"},
        "objective_views": "numerics",
        "views": {"image": {"numerics": 4, "plain": 1}},
    }
    with pytest.raises(ValueError, match="recipes for image: plain"):
        prune(values)


def test_numerics_are_told_and_taken_away_wherever_they_stand():
    inner = {"numerics": 2, "width": 8}
    values = {"encoder": {"image": inner, "numerics": 3}, "ops": [inner, 1], "seed": 0}
    assert without_numerics(values) == {
        "encoder": {"image": {"width": 8}},
        "ops": [{"width": 8}, 1],
        "seed": 0,
    }
    assert numerics_of(values) == {"encoder": 3, "encoder.image": 2}
    assert inner == {"numerics": 2, "width": 8}  # the values themselves stay


def modal(modality):
    from omegaconf import OmegaConf

    from trivium.config import register

    register()
    return OmegaConf.create(
        {
            "data": {"modality": modality},
            "objective": {"temperature": "${by_modality:{image: 0.1, text: 5.0e-2}}"},
            "lr": "${by_modality:{image: 1, other: [2, 3]}}",
        }
    )


def test_a_setting_may_differ_between_modalities():
    assert modal("image").objective.temperature == 0.1
    assert modal("text").objective.temperature == 0.05
    assert modal("text").lr == [2, 3]


def test_a_setting_without_a_value_for_the_modality_says_so():
    import pytest
    from omegaconf.errors import InterpolationResolutionError

    with pytest.raises(InterpolationResolutionError, match="no value for audio, only for image"):
        modal("audio").objective.temperature  # noqa: B018
