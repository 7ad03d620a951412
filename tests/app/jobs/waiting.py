"""Waiting until a training has got somewhere."""

from tests.browser.driver import eventually


def ends(*started):
    return eventually(lambda: all(job.over for job in started), 120)


def has_steps(job, count=1):
    return eventually(lambda: len(job.records) >= count, 120)
