import torch

from trivium.objectives.latent import TokenDecoder, negative_log_likelihood


def test_every_token_is_predicted_and_reads_the_whole_latent():
    decoder = TokenDecoder(3, 6, 5, width=8, depth=2)
    jacobian = torch.autograd.functional.jacobian(decoder, torch.randn(1, 3))
    assert jacobian.shape == (1, 6, 5, 1, 3)
    assert (jacobian.abs().amax((0, 2, 3)) > 0).all()


def test_tokens_differ_though_the_latent_is_shared():
    prediction = TokenDecoder(3, 6, 5, width=8, depth=1)(torch.zeros(1, 3))
    assert torch.pdist(prediction[0]).min() > 0


def test_samples_are_decoded_independently():
    decoder = TokenDecoder(3, 6, 5, width=8, depth=2)
    latent = torch.randn(4, 3)
    torch.testing.assert_close(decoder(latent)[1:2], decoder(latent[1:2]))


def test_the_gradient_of_the_likelihood_is_the_squared_error_over_twice_its_variance(encoder):
    distance = torch.rand(6, 16, requires_grad=True)  # per token: a mean over its 4 values
    negative_log_likelihood(encoder.stem, distance).backward()
    summed = 4 * distance.detach() / (2 * distance.detach().mean())
    torch.testing.assert_close(distance.grad * distance.detach(), summed / 6)
