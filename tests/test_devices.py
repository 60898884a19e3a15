"""Devices: the list, the default, and the errors without a GPU."""

import threading

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.backends import backend_for_device
from tinygrad_lab.context import changed

without_gpu = pytest.mark.skipif(len(tg.devices()) > 1, reason="there is a GPU here")
with_gpu = pytest.mark.skipif(len(tg.devices()) == 1, reason="needs a GPU")


class TestDevices:
    def test_begin_with_the_cpu_and_can_all_be_used(self) -> None:
        assert tg.devices()[0] == "cpu"
        for device in tg.devices():
            assert tg.zeros(2, device=device).device == device

    @without_gpu
    @pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1"])
    def test_that_are_not_there_are_errors_that_say_what_is_missing(self, device: str) -> None:
        x = tg.tensor([1.0])
        for use in (
            lambda: x.to(device),
            lambda: x.to_device(device),
            lambda: tg.zeros(2, device=device),
            lambda: tg.asarray([1.0], device=device),
            lambda: tg.from_dlpack(np.ones(2), device=device),
            lambda: tg.random.normal(2, device=device),
            lambda: tg.default_device(device),
        ):
            with pytest.raises(tg.errors.DeviceError, match=r"not installed|CuPy.*says cuda"):
                use()

    @pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:0", "", "cuda:-1"])
    def test_of_another_name_are_errors(self, device: str) -> None:
        with pytest.raises(tg.errors.DeviceError, match="'cpu', 'cuda' or 'cuda:1'"):
            tg.zeros(2, device=device)

    def test_staying_on_a_device_makes_no_node(self) -> None:
        for x in (tg.tensor([1.0], requires_grad=True), tg.scalar(1.0)):
            assert x.to("cpu") is x
            assert x.to_device("cpu") is x


class TestDefaultDevice:
    def test_is_the_cpu(self) -> None:
        assert tg.get_default_device() == "cpu"

    def test_holds_in_a_block_and_ends_with_it_whatever_happens(self) -> None:
        # `changed` is what default_device uses; it also takes the name of a device that is missing.
        seen = []

        @changed(device="cuda:9")
        def fails() -> None:
            seen.append(tg.get_default_device())
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()
        assert [*seen, tg.get_default_device()] == ["cuda:9", "cpu"]

    def test_is_where_tensors_of_nothing_are_made_and_arrays_are_not_moved(self) -> None:
        x = tg.tensor([1.0])
        with changed(device="cuda:9"):
            for make in (
                lambda: tg.zeros(2),
                lambda: tg.tensor([1.0]),
                lambda: tg.asarray(1.0),
                lambda: tg.arange(3),
                lambda: tg.random.normal(2),
                lambda: tg.nn.Linear(2, 2),
            ):
                with pytest.raises(tg.errors.DeviceError, match="cuda"):
                    make()
            stays = [tg.asarray(x), tg.tensor(x), tg.tensor(np.ones(2)), tg.zeros_like(x), x * 2]
            stays += [tg.from_dlpack(np.ones(2)), tg.full_like(x, 2), tg.scalar(1.0)]
            assert {y.device for y in stays} == {"cpu"}
            assert tg.zeros(2, device="cpu").device == "cpu"

    def test_works_as_a_block_inside_another_and_as_a_decorator(self) -> None:
        @tg.default_device("cpu")
        def made_inside() -> str:
            return tg.get_default_device()

        with changed(device="cuda:9"):
            assert made_inside() == "cpu"
            block = tg.default_device("cpu")
            for _ in range(2):
                with block:
                    assert tg.zeros(1).device == "cpu"
            assert tg.get_default_device() == "cuda:9"

    def test_is_that_of_one_thread(self) -> None:
        seen = []
        with changed(device="cuda:9"):
            thread = threading.Thread(target=lambda: seen.append(tg.get_default_device()))
            thread.start()
            thread.join()
        assert seen == ["cpu"]

    @with_gpu
    def test_makes_the_gpu_current_for_cupy_too(self) -> None:
        for device in tg.devices()[1:]:
            with tg.default_device(device):
                x = tg.zeros(2)
                layer = tg.nn.Linear(2, 2)
                assert (x.device, layer.weight.device, (x + 1).device) == (device,) * 3
                assert layer(x).device == device


@with_gpu
class TestOnTheGPU:
    def test_arrays_go_there_and_back_and_share_memory_by_dlpack(self) -> None:
        x = tg.tensor([1.0, 2.0], device="cuda")
        assert x.to("cpu").tolist() == tg.tensor(x, device="cpu").tolist() == [1.0, 2.0]
        again = tg.from_dlpack(x)
        again.data[0] = 5.0
        assert x.tolist() == [5.0, 2.0]
        with pytest.raises(ValueError, match="copy"):
            tg.from_dlpack(x, device="cpu", copy=False)
        assert backend_for_device("cuda").device_of(x.data) == "cuda"
