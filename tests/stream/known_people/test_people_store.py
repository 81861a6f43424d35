"""Who is kept lies in a folder of their own, encrypted where there is a keyring, or is gone."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stream.errors import ConfigError, InputError, OutputError
from stream.known_people import encryption
from stream.known_people.encryption import ENCRYPTED, PLAIN, Encryption
from stream.known_people.known_person import KnownPerson
from stream.known_people.people_store import FILE, PeopleStore, check_name
from tests.kept_people import known_person


class KeyringError(Exception):
    """As in `keyring.errors`."""


class NoKeyringError(KeyringError, RuntimeError):
    """As in `keyring.errors`."""


class KeyringLocked(KeyringError):  # noqa: N818 - its name there
    """As in `keyring.errors`."""


class FakeKeyring:
    """In the place of the package `keyring`."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None

    def get_password(self, service: str, entry: str) -> str | None:
        if self.fails is not None:
            raise self.fails
        return self.keys.get((service, entry))

    def set_password(self, service: str, entry: str, password: str) -> None:
        self.keys[service, entry] = password

    def delete_password(self, service: str, entry: str) -> None:
        del self.keys[service, entry]


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
    pytest.importorskip("cryptography", reason="cryptography is not installed: extra learn")
    fake = FakeKeyring()
    module = SimpleNamespace(
        get_password=fake.get_password,
        set_password=fake.set_password,
        delete_password=fake.delete_password,
        errors=SimpleNamespace(NoKeyringError=NoKeyringError, KeyringLocked=KeyringLocked),
    )
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", module.errors)
    return fake


def contents(store: PeopleStore) -> bytes:
    return (store.folder / "Ada" / FILE).read_bytes()


def test_what_is_kept_is_encrypted_and_open_to_its_owner_alone(
    keyring: FakeKeyring, no_people: Path
) -> None:
    store = PeopleStore()
    assert store.names() == []
    assert store.save(known_person("Ada")) is None
    assert store.folder == no_people
    assert store.names() == ["Ada"]
    assert store.encrypted("Ada")
    assert contents(store).startswith(ENCRYPTED)
    assert b"2026-01-02" not in contents(store)
    assert len(PeopleStore().load("Ada").close_ups) == 8
    if os.name == "posix":
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (no_people, no_people / "Ada")]
        assert modes == [0o700, 0o700]
        assert stat.S_IMODE((no_people / "Ada" / FILE).stat().st_mode) == 0o600


def test_without_a_keyring_it_is_plain_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    store = PeopleStore()
    reason = store.save(known_person("Ada"))
    assert reason is not None
    assert not store.encrypted("Ada")
    assert contents(store).startswith(PLAIN)
    assert len(store.load("Ada").close_ups) == 8


def test_a_keyring_that_keeps_nothing_is_none(
    keyring: FakeKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["keyring"], "set_password", lambda *given: None)
    assert PeopleStore().save(known_person("Ada")) == "the system's keyring has no key for it"


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        (
            NoKeyringError("No backend was available.\nSee"),
            "this system has no keyring",
        ),
        (KeyringLocked("Failed to unlock the collection!"), "the system's keyring is locked"),
        (RuntimeError("0x80\nDetails"), "the system's keyring failed (RuntimeError)"),
    ],
)
def test_a_keyring_that_refuses_is_said_in_plain_words(
    keyring: FakeKeyring, fails: Exception, said: str
) -> None:
    store = PeopleStore()
    store.save(known_person("Ada"))
    keyring.fails = fails
    with pytest.raises(ConfigError) as raised:
        store.load("Ada")
    assert f"not to be had ({said}); unlock" in str(raised.value)
    assert store.save(known_person("Bob")) == said, "it is not encrypted, and why"
    assert not store.encrypted("Bob")


def test_another_key_or_none_is_one_line(keyring: FakeKeyring) -> None:
    store = PeopleStore()
    store.save(known_person("Ada"))
    from cryptography.fernet import Fernet

    keyring.keys[encryption.SERVICE, encryption.ENTRY] = Fernet.generate_key().decode()
    with pytest.raises(ConfigError, match="another key; remove it: closeup forget Ada"):
        store.load("Ada")
    keyring.keys.clear()
    with pytest.raises(ConfigError, match="has no key"):
        store.load("Ada")
    assert not keyring.keys, "reading makes none"


def test_damage_is_one_line(keyring: FakeKeyring) -> None:
    store = PeopleStore()
    store.save(known_person("Ada"))
    for data in (contents(store)[:-9], b"something else", PLAIN):
        (store.folder / "Ada" / FILE).write_bytes(data)
        with pytest.raises(Exception, match="damaged") as raised:
            store.load("Ada")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("odd", [(0, 256, 256, 3), (8, 128, 128, 3), (8, 256, 256)])
def test_close_ups_of_another_form_are_damage(odd: tuple[int, ...]) -> None:
    """Of none, `closeup people` could not say the days; of others every face would fail."""
    person = known_person("Ada")
    with np.load(io.BytesIO(person.to_bytes())) as kept:
        arrays = {key: kept[key] for key in kept.files}
    arrays["images"] = np.zeros(odd, np.uint8)
    if not odd[0]:
        person.close_ups = []
        with np.load(io.BytesIO(person.to_bytes())) as kept:
            arrays = {key: kept[key] for key in kept.files}
    memory = io.BytesIO()
    np.savez(memory, **arrays)
    with pytest.raises(InputError, match="damaged; remove it: closeup forget Ada"):
        KnownPerson.from_bytes("Ada", memory.getvalue())


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../Ada", "a/b", "a\\b", ".Ada", "Ada.", " Ada", "nul", "COM1.x"),
        *("a\0b", "a\n", "x" * 65, "\U00020000" * 64),
    ],
)
def test_names_are_no_paths(name: str) -> None:
    store = PeopleStore(encryption=Encryption())
    for use in (check_name, store.load, store.forget):
        with pytest.raises(ConfigError, match="cannot be a name"):
            use(name)


@pytest.mark.parametrize("name", ["Ada", "Ada Lovelace", "Zoë", "李", "a.b-c_1"])
def test_names_of_people(name: str) -> None:
    assert check_name(name) == name


def test_whatever_interrupts_leaves_what_there_was(
    keyring: FakeKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PeopleStore()
    store.save(known_person("Ada"))
    before = contents(store)

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("engines.files.os.replace", full)
        with pytest.raises(OutputError, match="No space left"):
            store.save(known_person("Ada", 20))
    assert contents(store) == before
    left = store.folder / "Ada" / f".{FILE}.0123.part"  # of a run that was killed
    left.write_bytes(b"half")
    store.save(known_person("Ada", 20))
    assert [path.name for path in left.parent.iterdir()] == [FILE]


def test_whether_somebody_can_be_kept_is_known_before_and_leaves_nothing(
    no_people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PeopleStore()
    store.check_room("Ada")
    assert not no_people.exists()
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))
        with pytest.raises(OutputError, match="Ada cannot be written: No space left"):
            store.check_room("Ada")
    no_people.parent.mkdir(parents=True, exist_ok=True)
    no_people.write_text("a file in the folder's place")
    with pytest.raises(OutputError, match="Ada cannot be written: Not a directory"):
        store.check_room("Ada")
    with pytest.raises(ConfigError, match="cannot be a name"):
        store.check_room("../Ada")


def test_forgetting_removes_everything_and_with_the_last_one_the_key(
    keyring: FakeKeyring, no_people: Path
) -> None:
    store = PeopleStore()
    for name in ("Ada", "Bob"):
        store.save(known_person(name))
    store.forget("Ada")
    assert (store.names(), len(keyring.keys)) == (["Bob"], 1)
    with pytest.raises(ConfigError, match="nobody called Ada is kept; there are: Bob"):
        store.forget("Ada")
    store.forget("Bob")
    assert not no_people.exists()
    assert not keyring.keys
    with pytest.raises(ConfigError, match="closeup learn Bob --input webcam"):
        store.load("Bob")
