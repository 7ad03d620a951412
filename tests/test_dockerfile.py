"""The Dockerfile's steps as `make check-image` takes them, where no root is needed: all but RUN."""

import pytest

from tools.dockerfile import Build

DOCKERFILE = """\
FROM python:3.12-slim AS packages
ARG WHAT=this
ENV KEPT=$WHAT/there \\
    PATH=/venv/bin:$PATH
COPY requirements.txt /tmp/
FROM python:3.12-slim
COPY --from=packages /tmp /taken
WORKDIR /srv/app
COPY . .
USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s CMD ["python", "-c", \\
    "print('well')"]
CMD ["python", "app.py"]
"""


@pytest.fixture
def build(tmp_path):
    """Takes a Dockerfile's text to a build of a small context."""
    context, base, scratch = (tmp_path / name for name in ("context", "base", "scratch"))
    for folder in (context / "app", base / "etc", scratch):
        folder.mkdir(parents=True)
    for name in ("app.py", "app/ui.py", "app/ui.pyc", "requirements.txt", "secret.txt"):
        (context / name).write_text(name)
    (context / ".dockerignore").write_text("# few\n*\n!app\n!app.py\n!requirements.txt\n**/*.pyc\n")

    def build(text, **args):
        (context / "Dockerfile").write_text(text)
        return Build(context, base, scratch, args, env={}, shared=[])

    return build


def files(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_stages_hold_what_was_copied_into_them_and_what_they_are_run_with(build):
    made = build(DOCKERFILE)
    stage = made.run()
    assert files(stage.root) == {
        "etc/hosts", "taken/requirements.txt", "srv/app/app.py", "srv/app/app/ui.py",
        "srv/app/requirements.txt",
    }  # fmt: skip
    assert (stage.user, stage.workdir) == ("1000", "/srv/app")
    assert stage.cmd == ["python", "app.py"]
    assert stage.healthcheck == ["python", "-c", "print('well')"]
    assert set(stage.env) == {"PATH"}  # a stage has its own
    packages = made.stages["packages"]
    assert packages.env["KEPT"] == "this/there"
    assert packages.env["PATH"].startswith("/venv/bin:/usr/local/")


def test_a_build_argument_takes_the_place_of_its_default(build):
    made = build(DOCKERFILE, WHAT="that")
    made.run()
    assert made.stages["packages"].env["KEPT"] == "that/there"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("CMD python app.py", "Expecting value"),  # a shell would keep SIGTERM to itself
        ("HEALTHCHECK NONE", "Expecting value"),
        ("USER user", "USER must be a number"),
        ("VOLUME /data", "_volume"),
        ("COPY --from=nowhere /a /a", "nowhere"),
        ("COPY secret.txt /tmp/", "secret.txt"),
    ],
)
def test_what_is_not_known_is_an_error(build, line, sentence):
    with pytest.raises((ValueError, AttributeError, KeyError, FileNotFoundError), match=sentence):
        build(f"FROM python:3.12-slim\n{line}\n").run()
