import threading
import time

import pytest
import torch

from app import batching, models
from app.batching import LARGEST, Shared, shared
from model.sampler import ddim, standard_noise


class Net:
    """Adds t and ten times the label; notes the size of each batch, and can be held up."""

    def __init__(self):
        self.batches = []
        self.go_on = threading.Event()

    def __call__(self, x, t, label=None):
        self.batches.append(len(x))
        self.go_on.wait(10)
        if (x > 1e6).any():
            raise ValueError("too bright")
        added = t.float() if label is None else t.float() + 10 * label
        return x + added[:, None, None, None]


def ask_all(net, requests):
    """Ask for the first, and while that is under way for the others; their answers in order."""
    answers = [None] * len(requests)

    def ask(i):
        try:
            answers[i] = Shared(net)(*requests[i])
        except ValueError as error:
            answers[i] = error

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(requests))]
    for i, thread in enumerate(threads):
        thread.start()
        while i == 0 and not net.batches:
            time.sleep(0.001)
        while i and len(batching._line._waiting) < i:  # they stand in line in this order
            time.sleep(0.001)
    net.go_on.set()
    for thread in threads:
        thread.join(10)
    return answers


def request(value, t=1, label=None, count=1, size=2):
    x = torch.full((count, 1, size, size), float(value))
    times = torch.full((count,), t)
    return x, times, None if label is None else torch.full((count,), label)


def test_what_waits_goes_together_and_each_gets_its_own():
    net = Net()
    requests = [request(0), request(100, 2), request(200, 3.5), request(300, 4, count=2)]
    answers = ask_all(net, requests)
    assert net.batches == [1, 4]
    for (x, t, _), answer in zip(requests, answers, strict=True):
        torch.testing.assert_close(answer, x + t.float()[:, None, None, None])


def test_labels_stay_with_their_pictures_and_without_labels_is_another_batch():
    net = Net()
    answers = ask_all(net, [request(0), request(0, 1, 3), request(0, 1), request(0, 1, 5)])
    assert net.batches == [1, 2, 1]
    assert [answer.flatten()[0].item() for answer in answers] == [1, 31, 1, 51]


def test_other_sizes_and_what_has_no_room_wait_for_the_next_pass():
    net = Net()
    ask_all(
        net, [request(0), request(0, count=LARGEST - 1), request(0, size=4), request(0, count=2)]
    )
    assert net.batches == [1, LARGEST - 1, 1, 2]


def test_a_request_larger_than_a_batch_goes_alone():
    net = Net()
    answers = ask_all(net, [request(0), request(0, count=2 * LARGEST), request(0)])
    assert net.batches == [1, 2 * LARGEST, 1]
    assert len(answers[1]) == 2 * LARGEST


def test_an_error_reaches_only_the_one_who_caused_it():
    net = Net()
    answers = ask_all(net, [request(0), request(1), request(1e9), request(2)])
    assert net.batches == [1, 3, 1, 1, 1]
    assert isinstance(answers[2], ValueError)
    assert [answers[i].flatten()[0].item() for i in (0, 1, 3)] == [1, 2, 3]


def walks(nets):
    """A walk of four steps for each net: all begin while the first pass is under way."""

    def walk(net):
        for _ in range(4):
            Shared(net)(*request(0))

    threads = [threading.Thread(target=walk, args=(net,)) for net in nets]
    for thread in threads:
        thread.start()
        while not nets[0].batches:
            time.sleep(0.001)
    for thread in threads:
        thread.join(20)


class SlowNet(Net):
    """A pass takes so long that everybody else has asked meanwhile."""

    def __call__(self, x, t, label=None):
        self.go_on.set()
        answer = super().__call__(x, t, label)
        time.sleep(0.4)
        return answer


def test_runs_that_walk_at_the_same_time_meet():
    net = SlowNet()
    walks([net, net, net])
    assert net.batches == [1, 3, 3, 3, 2]


def test_runs_of_two_networks_share_no_pass():
    one, other = SlowNet(), SlowNet()
    walks([one, other])
    assert one.batches == other.batches == [1, 1, 1, 1]


def test_two_networks_take_turns():
    one, other = Net(), Net()
    other.go_on.set()
    answers = {}
    first = threading.Thread(target=lambda: answers.update(a=Shared(one)(*request(0))))
    second = threading.Thread(target=lambda: answers.update(b=Shared(other)(*request(5))))
    first.start()
    while not one.batches:
        time.sleep(0.001)
    second.start()
    time.sleep(0.05)
    assert other.batches == []  # two passes at once are slower than one after the other
    one.go_on.set()
    first.join(10)
    second.join(10)
    assert answers["b"].flatten()[0] == 6


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_runs_side_by_side_come_to_the_same_images_as_each_alone(guidance):
    checkpoint = models.load("digits")
    grid = checkpoint.schedule.timesteps(5)

    def image(seed, denoiser):
        x = standard_noise(checkpoint.shape, [seed])
        *_, last = ddim(denoiser, checkpoint.schedule, x, grid)
        return last.x_next

    def denoiser(label):
        return checkpoint.denoiser(label, guidance=guidance)

    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: image(i, shared(denoiser(i)))}))
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for i in range(6):
        torch.testing.assert_close(found[i], image(i, denoiser(i)), rtol=0, atol=2e-4)
