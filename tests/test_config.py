import pytest
from omegaconf import OmegaConf

from trivium.config import digest, plain, prune, register


def test_basename_resolver():
    register()
    config = OmegaConf.create({"a": "x/y/z", "b": "${basename:${a}}"})
    assert plain(config)["b"] == "z"


def test_plain_refuses_open_values():
    with pytest.raises(Exception, match="Missing mandatory value: a"):
        plain(OmegaConf.create({"a": "???"}))


def test_digest_names_what_is_computed_and_not_where():
    values = {"seed": 0, "objective": {"temperature": 0.1}, "run_dir": "a", "overwrite": False}
    assert digest(values) == digest({**values, "run_dir": "b", "overwrite": True})
    assert digest(values) == digest(dict(reversed(values.items())))
    assert digest(values) != digest({**values, "seed": 1})


def test_prune_keeps_the_wanted_recipe_alone():
    values = {
        "data": {"modality": "image"},
        "objective_views": "plain",
        "views": {"image": {"plain": 1, "mild": 2}, "text": {"plain": 3}},
    }
    assert prune(values)["views"] == {"image": {"plain": 1}}
    with pytest.raises(ValueError, match="objective_views=blurry is unknown; recipes for image"):
        prune({**values, "objective_views": "blurry"})


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
