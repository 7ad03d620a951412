"""Zip files from outside: what is taken, and one sentence for everything else."""

import io
import json
import pickle
import random
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app import archives
from app.archives import members, pack_checkpoint, read_few, read_pictures, unpack_checkpoint
from app.uploads import UploadError
from model.checkpoint import FOLDER, load_checkpoint
from model.sampler import ddim, standard_noise
from tests.app.picture_files import encoded, photo, saved, written

SMALL = FOLDER / "digits"


def zipped(folder, files, compression=zipfile.ZIP_DEFLATED, name="given.zip"):
    """An archive of these (name, content) pairs, or of a dictionary of them."""
    path = folder / name
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return path


def png(colour=(200, 30, 30), size=(20, 20), mode="RGB"):
    return encoded(Image.new(mode, size, colour), "PNG")


def checkpoint_files():
    return {path.name: path.read_bytes() for path in SMALL.iterdir() if path.is_file()}


def refusal(call, *arguments):
    """The one sentence with which `call` refuses."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (the callers look at the message)
        call(*arguments)
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 420
    return message


def taken(path):
    return list(members(path))


# -- any archive ---------------------------------------------------------------------------------


def test_names_and_contents_come_out_and_hidden_files_do_not(tmp_path):
    files = {
        "set/one.txt": b"1", "set/inner/two.txt": b"22", "__MACOSX/set/._one.txt": b"no",
        "set/.DS_Store": b"no", ".git/config": b"no", "./set/three.txt": b"333",
        "photo 12:30.txt": b"4444",
    }  # fmt: skip
    assert taken(zipped(tmp_path, files)) == [
        ("set/one.txt", b"1"), ("set/inner/two.txt", b"22"), ("set/three.txt", b"333"),
        ("photo 12:30.txt", b"4444"),
    ]  # fmt: skip


def test_backslashes_are_folders_too(tmp_path):
    path = zipped(tmp_path, {"a/b.txt": b"1"})
    path.write_bytes(path.read_bytes().replace(b"a/b.txt", b"a\\b.txt"))
    assert taken(path) == [("a/b.txt", b"1")]


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\5\6", png()], ids=repr)
def test_what_is_no_archive_gets_one_sentence(tmp_path, content):
    path = None if content is None else written(tmp_path, content, "given.zip")
    assert refusal(taken, path) == archives.NO_ZIP


def test_a_folder_a_missing_file_and_no_path_at_all_are_no_archives(tmp_path):
    for path in (tmp_path, tmp_path / "gone.zip", 3, ["a.zip"]):
        assert refusal(taken, path) == archives.NO_ZIP


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_archive_gets_one_sentence_wherever_the_damage_is(tmp_path, compression):
    noise = np.random.default_rng(0).integers(0, 60, 900).astype(np.uint8).tobytes()
    whole = zipped(tmp_path, {"a.bin": noise, "é.bin": noise}, compression).read_bytes()
    rng, refused = random.Random(1), 0
    for number in range(300):
        damaged = bytearray(whole)
        for _ in range(1 + number % 3):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        if number % 5 == 0:
            del damaged[rng.randrange(len(damaged)) :]
        message = ""
        try:
            found = taken(written(tmp_path, bytes(damaged), "damaged.zip"))
        except ValueError as error:
            message = str(error)
            refused += 1
        else:
            assert all(content == noise for _, content in found)  # only a name was hit
        assert message in ("", archives.NO_ZIP) or message.startswith("The archive ")
    assert refused > 100


def test_an_encrypted_archive_says_so(tmp_path):
    content = bytearray(zipped(tmp_path, {"a.png": png()}).read_bytes())
    content[6] |= 1  # the flag, in the local header and in the directory
    content[content.index(b"PK\1\2") + 8] |= 1
    assert "encrypted" in refusal(taken, written(tmp_path, bytes(content), "given.zip"))


@pytest.mark.parametrize(
    "name",
    [
        "../out.png", "a/../../out.png", "/etc/out.png", "//server/out.png", "C:\\out.png",
        "C:out.png", "..\\out.png", "a\\..\\..\\out.png", "\\out.png",
    ],
)  # fmt: skip
def test_a_path_outside_is_refused_and_nothing_is_written(tmp_path, name, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = zipped(tmp_path, [("ok.png", png()), ("x" * len(name), b"evil")])
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name.encode()))
    for call in (taken, lambda p: read_pictures(p, 16, 1, 10), lambda p: unpack_checkpoint(p, 9)):
        assert "a place outside itself" in refusal(call, path)
    assert sorted(tmp_path.rglob("*")) == [path, tmp_path / "here"]


def test_a_link_is_a_file_like_any_other(tmp_path):
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path, [(info, b"/etc/passwd")])
    assert taken(path) == [("link.png", b"/etc/passwd")]  # its target is text, never followed
    with pytest.raises(ValueError, match=r"link\.png"):
        read_pictures(path, 16, 1, 10)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = zipped(tmp_path, {"zeros.png": bytes(30 * 2**20)})
    assert path.stat().st_size < 100_000
    assert "unpacks to more than is allowed" in refusal(taken, path)


def test_many_files_of_nothing_are_still_an_archive(tmp_path):
    assert len(taken(zipped(tmp_path, {f"{i}.png": b"" for i in range(3)}))) == 3


def test_the_size_of_an_archive_is_bounded_however_well_it_packs(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED", 5_000)
    files = {f"{i}.bin": np.random.default_rng(i).bytes(2_000) for i in range(3)}
    assert "unpacks to more" in refusal(taken, zipped(tmp_path, files))
    assert len(taken(zipped(tmp_path, {"0.bin": files["0.bin"], "1.bin": files["1.bin"]}))) == 2


@pytest.mark.parametrize("claimed", [0, 10, 100_000, 2**32 - 2])
def test_sizes_that_lie_are_refused(tmp_path, claimed):
    content = bytearray(zipped(tmp_path, {"a.png": png()}).read_bytes())
    for start, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = content.index(start) + offset
        content[at : at + 4] = claimed.to_bytes(4, "little")
    refusal(taken, written(tmp_path, bytes(content), "given.zip"))


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    assert len(taken(zipped(tmp_path, {f"{i}.txt": b"1" for i in range(3)}))) == 3
    message = refusal(taken, zipped(tmp_path, {f"{i}.txt": b"1" for i in range(4)}))
    assert "more than 3 files" in message


# -- pictures ------------------------------------------------------------------------------------


def test_folders_become_classes(tmp_path):
    files = {
        "all/dogs/1.png": png((255, 0, 0)), "all/cats/1.png": png((0, 255, 0)),
        "all/dogs/2.PNG": png((0, 0, 255)), "all/readme.txt": b"no picture",
        "all/cats/.hidden.png": b"",
    }  # fmt: skip
    data = read_pictures(zipped(tmp_path, files), 16, 3, 10)
    assert data.pixels.shape == (3, 3, 16, 16)
    assert data.pixels[:, :, 5, 5].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert data.classes == ("cats", "dogs")
    assert data.labels.tolist() == [1, 0, 1]


def test_one_folder_has_no_classes(tmp_path):
    data = read_pictures(zipped(tmp_path, {"all/1.png": png(), "all/2.png": png()}), 16, 1, 2)
    assert data.pixels.shape == (2, 1, 16, 16)
    assert (data.labels, data.classes) == (None, ())


@pytest.mark.parametrize("files", [{}, {"a.txt": b"hello"}, {".a.png": png()}, {"a/": b""}])
def test_an_archive_without_pictures_says_so(tmp_path, files):
    message = refusal(read_pictures, zipped(tmp_path, files), 16, 1, 10)
    assert message == "The archive holds no pictures: pack a folder of PNG or JPEG files."


def test_more_pictures_than_fit_are_counted(tmp_path):
    path = zipped(tmp_path, {f"{i}.png": png() for i in range(3)})
    message = "The archive holds 3 pictures, at most 2 fit here."
    assert refusal(read_pictures, path, 16, 1, 2) == message


@pytest.mark.parametrize("broken", [b"", b"hello", png()[:60], png((0, 0, 0), (1, 1))], ids=len)
def test_a_broken_picture_is_named(tmp_path, broken):
    path = zipped(tmp_path, {"good.png": png(), "broken.png": broken})
    if broken == png((0, 0, 0), (1, 1)):
        assert read_pictures(path, 16, 1, 9).pixels.shape == (2, 1, 16, 16)  # tiny, not broken
        return
    assert "broken.png" in refusal(read_pictures, path, 16, 1, 9)


def test_a_handful_is_one_to_twenty_pictures(tmp_path):
    paths = [str(saved(tmp_path, photo(20 + i, 20), f"{i}.png")) for i in range(21)]
    assert [image.width for image in read_few(paths[:20], 20)] == list(range(20, 40))
    for given, count in ((paths, 21), ([], 0), (None, 0), (paths[0], 0), ({}, 0)):
        assert refusal(read_few, given, 20) == (
            f"Choose 1 to 20 pictures to train on, got {count}."
        )
    tiny = str(written(tmp_path, png((0, 0, 0), (1, 1)), "tiny.png"))
    with pytest.raises(UploadError, match="smaller than 8 × 8"):
        read_few([paths[0], tiny], 20)
    with pytest.raises(UploadError, match="choose a file"):
        read_few([paths[0], None], 20)


# -- checkpoints ---------------------------------------------------------------------------------


def samples(checkpoint):
    noise = standard_noise(checkpoint.shape, range(3))
    *_, last = ddim(
        checkpoint.denoiser(3, clip=True),
        checkpoint.schedule,
        noise,
        checkpoint.schedule.timesteps(5),
    )
    return last.x_next


def test_a_checkpoint_comes_back_as_it_went(tmp_path):
    own = load_checkpoint("digits")
    packed = pack_checkpoint(own, "mine")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert {Path(name).parent.as_posix() for name in archive.namelist()} == {"mine"}
        archive.extractall(tmp_path)  # what a person does with it
    given = written(tmp_path, packed, "given.zip")
    for back in (unpack_checkpoint(given, 10**7), load_checkpoint(tmp_path / "mine")):
        assert back.config == own.config
        assert back.schedule.betas.equal(own.schedule.betas)
        torch.testing.assert_close(back.mean, own.mean, atol=1e-3, rtol=0)
        torch.testing.assert_close(back.class_means, own.class_means, atol=1e-3, rtol=0)
        torch.testing.assert_close(samples(back), samples(own), atol=0.02, rtol=0)


def test_a_checkpoint_may_lie_at_the_top_and_lack_what_is_optional(tmp_path):
    files = checkpoint_files()
    del files["README.md"], files["mean.safetensors"]
    back = unpack_checkpoint(zipped(tmp_path, files), 10**7)
    assert back.mean is None
    assert samples(back).equal(samples(load_checkpoint("digits")))


class Evil:
    """What a pickle could do."""

    def __reduce__(self):
        return (Path("it-was-executed").touch, ())


def changed(**network):
    """The config with other settings of the network."""
    config = json.loads((SMALL / "config.json").read_text(encoding="utf-8"))
    config["network"] |= network
    return json.dumps(config).encode()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model.safetensors": pickle.dumps(Evil())}, "damaged or no safetensors file"),
        ({"model.safetensors": b""}, "damaged or no safetensors file"),
        ({"model.safetensors": None}, "lacks the file model.safetensors"),
        ({"config.json": None}, "lacks the file config.json"),
        ({"config.json": b"{}"}, "config.json"),
        ({"config.json": b"\xff\xfe"}, "config.json"),
        ({"config.json": changed(channels=[4096] * 8, bottleneck=4096)}, "halvings need"),
        ({"config.json": changed(channels=[4096, 4096, 4096])}, "over 200,000,000 numbers"),
        ({"config.json": changed(channels=[32, 64, 64])}, "does not fit its config.json"),
        ({"config.json": changed(image_size=10**9)}, "image_size"),
        ({"mean.safetensors": b"hello"}, "mean.safetensors"),
        ({"model.pkl": b"x"}, "nothing else"),
        ({"code.py": b"x"}, "nothing else"),
        ({"again/config.json": b"{}"}, "once each"),
    ],
)
def test_what_is_no_checkpoint_is_refused_and_not_executed(
    tmp_path, changes, sentence, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    files = {k: v for k, v in (checkpoint_files() | changes).items() if v is not None}
    with pytest.raises(ValueError, match=sentence) as refused:
        unpack_checkpoint(zipped(tmp_path, files), 10**9)
    assert "\n" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    assert "/tmp" not in str(refused.value)
    assert not (tmp_path / "it-was-executed").exists()


def test_a_network_above_the_servers_limit_is_refused(tmp_path):
    path = zipped(tmp_path, checkpoint_files())
    count = sum(weight.numel() for weight in load_checkpoint("digits").net.parameters())
    assert unpack_checkpoint(path, count)
    assert "16×16 pixels" in refusal(unpack_checkpoint, path, count, 8)
    message = refusal(unpack_checkpoint, path, count - 1)
    assert f"The network has {count:,} parameters, at most {count - 1:,}" in message
