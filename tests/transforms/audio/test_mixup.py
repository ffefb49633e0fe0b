import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio.clips import LENGTHS, SEEDS, check_an_operation, mels, own, seeded
from trivium.data.spectrogram import SILENCE
from trivium.transforms.audio.waves import LogMixup
from trivium.types import View


@given(LENGTHS, st.floats(0, 1), SEEDS)
def test_powers_add_up(lengths, alpha, seed):
    view = mels(lengths)
    result = check_an_operation(LogMixup(alpha), view, seed, tolerance=1e-5)
    assert torch.equal(result.valid, view.valid)
    power, mixed = view.values.double().exp(), result.values.double().exp()
    for clip, length in enumerate(lengths):
        # Some other clip k and a share explain every value.
        fits = []
        for other in range(len(lengths)):
            if other == clip:
                continue
            change = (mixed[clip] - power[clip])[0, :length]
            direction = (power[other] - power[clip])[0, :length]
            share = (change * direction).sum() / direction.square().sum()
            fits.append(
                torch.allclose(change, share * direction, atol=1e-4)
                and -1e-4 <= share <= alpha + 1e-4
            )
        assert any(fits) or (
            len(lengths) == 1 and torch.allclose(result.values[clip], view.values[clip], atol=1e-5)
        )


def test_shares_are_uniform_and_the_other_is_never_the_clip_itself():
    batch, alpha = 5000, 0.4
    own_bands = torch.eye(5).repeat(batch // 5, 1)
    power = own_bands + 1e-5  # each clip sounds in one band of five
    values = power.log().view(batch, 1, 1, 5)
    mixed = LogMixup(alpha)(View(values[:5].repeat(1, 1, 1, 1)), seeded(0)).values.exp()
    assert ((mixed[:, 0, 0] > 1e-4).sum(1) == 2).all()
    mixed = LogMixup(alpha)(View(values), seeded(0)).values.exp()[:, 0, 0]
    kept = (mixed * own_bands).sum(1)
    others = (mixed * (1 - own_bands)).sum(1)
    met = others > 1e-4
    shares = (1 - kept)[met]
    assert met.float().mean() > 0.75  # four of five others sound elsewhere
    assert shares.max() < alpha + 1e-4
    assert shares.mean().item() == pytest.approx(alpha / 2, abs=5 * alpha / 12**0.5 / 4000**0.5)
    assert (shares < alpha / 4).float().mean().item() == pytest.approx(0.25, abs=0.04)


def test_every_other_clip_is_equally_likely():
    power = torch.eye(4) + 1e-5
    count = torch.zeros(4, 4)
    for seed in range(1500):
        mixed = LogMixup(1.0)(View(power.log().view(4, 1, 1, 4)), seeded(seed)).values.exp()
        count += (mixed[:, 0, 0] > 1e-4) & (power < 0.5)
    assert (count.diagonal() == 0).all()
    others = count[~torch.eye(4, dtype=torch.bool)]
    assert (others - 500).abs().max() < 5 * 500**0.5


def test_behind_the_other_s_end_is_silence():
    view = mels([12, 4], 12)
    result = LogMixup(0.4)(view, seeded(1))
    softer = own(result, 0)[4:] - own(view, 0)[4:]
    share = 1 - (own(result, 0)[4:].exp().sum() / own(view, 0)[4:].exp().sum())
    loud = own(view, 0)[4:] > SILENCE + 8
    assert 0.001 < share < 0.4
    torch.testing.assert_close(
        softer[loud], (-share).log1p().expand_as(softer[loud]), atol=1e-2, rtol=0
    )


def test_a_clip_on_its_own_stays_as_it_is():
    view = mels([9], 12)
    result = LogMixup(0.4)(view, seeded(0))
    torch.testing.assert_close(result.values, view.values, atol=1e-5, rtol=0)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match="alpha"):
        LogMixup(1.5)
