# Copyright (c) torchgeo-tdpcr contributors. Licensed under the MIT License.

"""Work in threads beside the model."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from torchgeo_tdpcr.beside import Behind, Turn, read_ahead


def counting(drawn: list[int], last: int) -> Iterator[int]:
    for number in range(last):
        drawn.append(threading.get_ident())
        yield number


def wait_until(what: object, length: int) -> None:
    end = time.monotonic() + 10
    while len(what) < length and time.monotonic() < end:  # type: ignore[arg-type]
        time.sleep(0.001)


def test_draws_before_it_is_asked_and_no_further() -> None:
    drawn: list[int] = []
    items = read_ahead(counting(drawn, 20), depth=2)
    assert next(items) == 0
    wait_until(drawn, 3)
    time.sleep(0.02)
    assert len(drawn) == 3
    assert list(items) == list(range(1, 20))
    assert set(drawn) != {threading.get_ident()}
    assert len(set(drawn)) == 1


def test_an_error_comes_when_it_is_its_turn() -> None:
    def faulty() -> Iterator[int]:
        yield 1
        raise OSError('no such file')

    items = read_ahead(faulty())
    assert next(items) == 1
    with pytest.raises(OSError, match='no such file'):
        next(items)


def test_whoever_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    items = read_ahead(counting([], 1000))
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_calls_are_made_in_order_and_do_not_wait_for_each_other() -> None:
    done: list[int] = []
    may_go = threading.Event()
    behind = Behind(depth=2)
    behind.call(may_go.wait)
    behind.call(done.append, 1)
    assert done == []
    may_go.set()
    behind.call(done.append, 2)
    behind.wait()
    assert done == [1, 2]


def test_calls_are_in_inference_mode() -> None:
    found: list[bool] = []
    behind = Behind()
    behind.call(lambda: found.append(torch.is_inference_mode_enabled()))
    behind.wait()
    assert found == [True]


def test_an_error_of_a_call_is_raised_later_and_ends_the_thread() -> None:
    def fail() -> None:
        raise OSError('disk full')

    before = threading.active_count()
    behind = Behind()
    behind.call(fail)
    with pytest.raises(OSError, match='disk full'):
        behind.wait()
    assert threading.active_count() == before


def test_stopping_leaves_out_what_has_not_begun() -> None:
    done: list[int] = []
    begun, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        may_go.wait()

    behind = Behind()
    behind.call(hold)
    behind.call(done.append, 1)
    begun.wait()
    threading.Timer(0.05, may_go.set).start()
    behind.stop()
    assert done == []


def test_one_thread_at_a_time() -> None:
    turn, order = Turn(), []

    def other() -> None:
        with turn:
            order.append('other')

    with turn, turn:
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.02)
        order.append('first')
    thread.join()
    assert order == ['first', 'other']
