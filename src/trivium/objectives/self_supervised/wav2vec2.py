"""wav2vec 2.0: tell the quantised token that is masked from others of the same clip."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, cast, final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from trivium.encoders.layers import is_every_token
from trivium.objectives.masking import MaskedPrediction, MaskTokens
from trivium.transforms.masking import gather_tokens
from trivium.types import DataSpec, Encoder, Needs, Paradigm, Terms, Tokens, View, Views


class GumbelCodes(NamedTuple):
    """Quantised items, the number of each group's code, and how evenly the codes are used."""

    values: Float[Tensor, "item code_width"]
    ids: Int64[Tensor, "item group"]
    perplexity: Float[Tensor, ""]


class GumbelQuantiser(nn.Module):
    """Product quantisation with the straight-through Gumbel softmax (2006.11477, Eq. 1).

    In each of G groups one of V codes is chosen, and the chosen ones are concatenated: in training
    by a hard sample with the gradient of the soft one, else by the largest logit. `perplexity` is
    that of the mean softmax of a group's choices, added over the groups. Weights start as in
    transformers' `Wav2Vec2GumbelVectorQuantizer`.

    Raises:
        ValueError: `code_width` does not split into groups.
    """

    def __init__(self, width: int, *, num_groups: int, num_codes: int, code_width: int) -> None:
        super().__init__()
        if code_width % num_groups:
            raise ValueError(
                f"code_width {code_width} does not split into num_groups {num_groups}: choose a "
                "multiple of it."
            )
        self.num_groups, self.num_codes = num_groups, num_codes
        self.score = nn.Linear(width, num_groups * num_codes)
        nn.init.normal_(self.score.weight)
        nn.init.zeros_(self.score.bias)
        self.codes = nn.Parameter(torch.rand(num_groups, num_codes, code_width // num_groups))

    def forward(self, items: Float[Tensor, "item channel"], temperature: Tensor) -> GumbelCodes:
        """Quantise items; each of them counts for the perplexity."""
        scores = self.score(items).float().unflatten(1, (self.num_groups, self.num_codes))
        if self.training:
            # A tensor, so that nothing waits for the device.
            chosen = F.gumbel_softmax(scores, tau=cast(float, temperature), hard=True, dim=-1)
        else:
            chosen = F.one_hot(scores.argmax(-1), self.num_codes).float()
        uses = scores.softmax(-1).mean(0)
        perplexity = torch.special.entr(uses).sum(-1).exp().sum()
        values = torch.einsum("igv,gvc->igc", chosen, self.codes.float()).flatten(1)
        return GumbelCodes(values, chosen.argmax(-1), perplexity)


class Steps(NamedTuple):
    """The masked steps of a batch, clip by clip, padded to the largest number of them."""

    indices: Int64[Tensor, "batch step"]
    real: Bool[Tensor, "batch step"]


@final
class Wav2Vec2(MaskedPrediction):
    r"""Find the quantised latent of a masked step among those of other masked steps.

    Baevski et al. 2020, arXiv 2006.11477, section 3.2: $L = L_m + \alpha L_d$ with $L_m = - \log
    \frac{\exp(\mathrm{sim}(c_t, q_t) / \kappa)}{\sum_{q \in Q_t} \exp(\mathrm{sim}(c_t, q) /
    \kappa)}$ (Eq. 3), sim the cosine, Q_t holding q_t and `num_negatives` others of the same clip
    (with replacement; those with the codes of q_t are left out), and $L_d = 1 - P / (G V)$ (Eq. 4
    as in fairseq), P the perplexity of the mean softmax. What is quantised is a token's content
    before positions are added, layer-normalised. The temperature of the Gumbel softmax falls
    geometrically over the budget. `penalty` weighs the mean square of the stem's output, and
    `gradient_scale` multiplies the stem's gradient (10 and 0.1 in fairseq, for convolutions on the
    wave). References: fairseq's `wav2vec2.py`, transformers' `Wav2Vec2ForPreTraining`.

    Terms: `loss`; `contrastive` (L_m, nats); `diversity` (L_d, in [0, 1)); `perplexity` (P of this
    rank's batch, G to G V); `code_perplexity` (the same of the codes that were chosen); `accuracy`
    (how often q_t is the most similar, in [0, 1]).
    """

    title: ClassVar[str] = "wav2vec 2.0"
    paradigm: ClassVar[Paradigm] = "self_supervised"
    needs: ClassVar[Needs] = Needs(tokens=True, modalities=("audio",))
    temperature: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: DataSpec,  # noqa: ARG002
        *,
        ratio: float,
        block: Sequence[float | int],
        aspect_ratio: Sequence[float | int],
        num_groups: int,
        num_codes: int,
        code_width: int,
        projection_width: int,
        num_negatives: int,
        temperature: float,
        temperature_start: float,
        temperature_end: float,
        diversity: float,
        penalty: float,
        gradient_scale: float,
    ) -> None:
        """`temperature` is kappa, `diversity` alpha.

        Raises:
            ValueError: A temperature is not positive, or there is no negative.
        """
        super().__init__()
        if min(temperature, temperature_start, temperature_end) <= 0 or num_negatives < 1:
            raise ValueError(
                "wav2vec2 needs positive temperatures and at least one negative, got "
                f"{temperature}, {temperature_start}, {temperature_end} and {num_negatives}."
            )
        self.encoder, self.kappa, self.num_negatives = encoder, temperature, num_negatives
        self.diversity, self.penalty, self.gradient_scale = diversity, penalty, gradient_scale
        self.temperatures = (temperature_start, temperature_end)
        width = encoder.token_width
        self.masking = MaskTokens(width, ratio=ratio, block=block, aspect_ratio=aspect_ratio)
        self.norm = nn.LayerNorm(width)
        self.quantiser = GumbelQuantiser(
            width, num_groups=num_groups, num_codes=num_codes, code_width=code_width
        )
        self.project_codes = nn.Linear(code_width, projection_width)
        self.project_context = nn.Linear(width, projection_width)
        self.register_buffer("temperature", torch.tensor(temperature_start))

    def forward(self, views: Views) -> Terms:
        """One step on the first view; see the class for the terms."""
        tokens, content = self.embed(views.views[0])
        mask = self.masking.draw(tokens, self.encoder.stem)
        context = self.encode(tokens, mask)
        steps = masked_steps(mask.mask)
        quantised, ids, perplexity = self.quantise(gather_tokens(content, steps.indices), steps)
        contrastive, accuracy = contrast(
            self.project_context(gather_tokens(context, steps.indices)),
            self.project_codes(quantised),
            ids,
            steps,
            draw_negatives(steps, self.num_negatives),
            self.kappa,
        )
        most = self.quantiser.num_groups * self.quantiser.num_codes
        diversity = 1 - perplexity / most
        penalty = content.float().square().mean(-1)
        if not is_every_token(tokens.valid):
            penalty = penalty[tokens.valid]
        loss = contrastive + self.diversity * diversity + self.penalty * penalty.mean()
        return {
            "loss": loss,
            "contrastive": contrastive.detach(),
            "diversity": diversity.detach(),
            "perplexity": perplexity.detach(),
            "code_perplexity": self.code_perplexity(ids[steps.real]),
            "accuracy": accuracy,
        }

    def embed(self, view: View) -> tuple[Tokens, Float[Tensor, "batch token channel"]]:
        """The tokens, and their content without positions; the stem's gradient is scaled."""
        values, valid, _ = self.encoder.embed(view.values, view.valid)
        positions = self.encoder.stem.positions[: values.shape[1]]
        content = values - positions
        if self.gradient_scale != 1:
            share = self.gradient_scale
            content = share * content + (1 - share) * content.detach()
        return Tokens(content + positions, valid), content

    def quantise(
        self, content: Float[Tensor, "batch step channel"], steps: Steps
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Codes [batch, step, channel], their numbers [batch, step, group], and the perplexity."""
        real = self.quantiser(self.norm(content[steps.real]), self.temperature)
        values = real.values.new_zeros(*steps.real.shape, real.values.shape[1])
        ids = real.ids.new_zeros(*steps.real.shape, real.ids.shape[1])
        values = values.masked_scatter(steps.real.unsqueeze(-1), real.values)
        return values, ids.masked_scatter(steps.real.unsqueeze(-1), real.ids), real.perplexity

    @torch.no_grad()
    def code_perplexity(self, ids: Int64[Tensor, "item group"]) -> Float[Tensor, ""]:
        """Perplexity of the chosen codes, added over the groups."""
        uses = F.one_hot(ids, self.quantiser.num_codes).float().mean(0)
        total: Tensor = torch.special.entr(uses).sum(-1).exp().sum()
        return total

    def after_step(self, progress: float) -> None:
        """The Gumbel softmax becomes harder."""
        start, end = self.temperatures
        self.temperature.fill_(start * (end / start) ** progress)


def masked_steps(mask: Bool[Tensor, "batch token"]) -> Steps:
    """Where the masked tokens of each clip are, in order."""
    numbers = mask.sum(1, keepdim=True)
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
    most = int(numbers.max())
    return Steps(order[:, :most], torch.arange(most, device=mask.device) < numbers)


def draw_negatives(
    steps: Steps, num_negatives: int, generator: torch.Generator | None = None
) -> Int64[Tensor, "batch step negative"]:
    """Other masked steps of the same clip, uniform and with replacement; never the step itself.

    A clip with one masked step has no others: there it is the step itself.
    """
    numbers = steps.real.sum(1)[:, None, None]
    shape = (*steps.real.shape, num_negatives)
    draws = torch.rand(shape, generator=generator, device=steps.real.device)
    chosen = (draws * (numbers - 1)).long().clamp(min=0)
    own = torch.arange(shape[1], device=chosen.device)[None, :, None]
    return torch.where((chosen >= own) & (numbers > 1), chosen + 1, chosen)


def contrast(
    context: Float[Tensor, "batch step channel"],
    codes: Float[Tensor, "batch step channel"],
    ids: Int64[Tensor, "batch step group"],
    steps: Steps,
    negatives: Int64[Tensor, "batch step negative"],
    temperature: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Eq. 3, mean over the masked steps, and how often the step's own codes are most similar.

    Negatives with the codes of the positive do not count.
    """
    with torch.autocast(context.device.type, enabled=False):
        directions = F.normalize(codes.float(), dim=-1).transpose(1, 2)
        cosine = F.normalize(context.float(), dim=-1) @ directions
    same = (ids.unsqueeze(2) == ids.unsqueeze(1)).all(-1)
    own = cosine.diagonal(dim1=1, dim2=2).unsqueeze(-1)
    others = cosine.gather(2, negatives).masked_fill(same.gather(2, negatives), -torch.inf)
    logits = torch.cat([own, others], dim=-1)[steps.real] / temperature
    wanted = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    accuracy = (logits.detach().argmax(-1) == wanted).float().mean()
    return F.cross_entropy(logits, wanted), accuracy
