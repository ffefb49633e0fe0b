"""A number that equal texts share."""

import subprocess
import sys

import torch

from trivium.types import BOS, EOS, PAD
from trivium.views.text.content import content


def test_padding_does_not_change_it_and_each_id_and_their_order_do():
    ids = torch.tensor([[BOS, 7, 8, EOS], [BOS, 8, 7, EOS], [BOS, 7, EOS, PAD], [BOS, 7, 8, 9]])
    valid = ids != PAD
    longer = torch.nn.functional.pad(ids, (0, 5), value=PAD)
    found = content(ids, valid)
    assert len(set(found.tolist())) == 4
    assert torch.equal(content(longer, longer != PAD), found)
    assert torch.equal(content(longer, None), found)
    # What stands where a text is not valid is not part of it.
    noise = longer.masked_fill(longer == PAD, 33)
    assert torch.equal(content(noise, longer != PAD), found)


def test_every_process_finds_the_same():
    told = "import torch; from trivium.views.text.content import content; "
    told += "print(content(torch.arange(4, 12)[None], None).item())"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert int(done.stdout) == content(torch.arange(4, 12)[None], None).item()


def test_many_texts_have_many_numbers():
    ids = torch.cartesian_prod(*[torch.arange(4, 18)] * 4)  # 38416 texts of four ids
    assert len(content(ids, None).unique()) == len(ids)
