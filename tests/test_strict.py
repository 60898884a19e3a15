"""The strict backend: arrays with what the Array API standard defines, and no more."""

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.backends import backend_for_device
from tinygrad_lab.errors import DeviceError, DTypeError, IndexingError

XP = backend_for_device("strict")


def on(device: str) -> tg.Tensor:
    return tg.tensor([[1.0, 2.0], [3.0, 4.0]], device=device, requires_grad=True)


class TestTensors:
    @pytest.mark.parametrize("device", ["strict", "strict:1", "strict:2"])
    def test_stay_on_their_device_with_values_and_gradients(self, device: str) -> None:
        x = on(device)
        out = (x @ x.T).tanh().sum()
        out.backward()
        assert x.grad is not None
        assert x.device == out.device == x.grad.device == device
        assert x.grad.dtype == np.float32

    def test_move_there_and_back_with_their_gradients(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        x.to("strict:1").exp().to("strict:2").to("cpu").sum().backward()
        assert x.grad is not None
        assert x.grad.device == "cpu"
        np.testing.assert_allclose(x.grad.numpy(), np.exp([1.0, 2.0]), rtol=1e-6)

    def test_of_two_devices_do_not_mix(self) -> None:
        with pytest.raises(DeviceError, match="strict:1 and on strict:2 do not mix"):
            on("strict:1") + on("strict:2")
        with pytest.raises(DeviceError, match=r"numpy .*do not mix|do not mix.*numpy"):
            on("strict:1") + on("cpu")

    def test_are_indexed_by_arrays_on_their_device(self) -> None:
        x = on("strict:1")
        assert x[[1, 0]].tolist() == [[3.0, 4.0], [1.0, 2.0]]
        with pytest.raises(DeviceError, match="do not mix"):
            x[tg.tensor([1, 0], device="strict:2")]

    def test_of_one_element_can_become_a_scalar(self) -> None:
        assert tg.scalar(tg.tensor([3.0], device="strict:1")).item() == 3.0

    def test_say_which_index_of_an_array_is_out_of_bounds(self) -> None:
        x, far = on("strict:1"), tg.tensor([0, 7], device="strict:1")
        for taken in (lambda: x[far], lambda: x[:, far[1]], lambda: tg.take(x, far, axis=0)):
            with pytest.raises(IndexingError, match=r"-2 to 1 as an index of axis [01], got 7"):
                taken()

    def test_of_kinds_that_the_standard_does_not_promote_are_refused(self) -> None:
        with pytest.raises(DTypeError, match="cannot be type promoted"):
            on("strict") * tg.tensor([1, 2], device="strict")

    def test_are_not_made_on_missing_devices(self) -> None:
        with pytest.raises(DeviceError, match="expected a device strict, strict:1, strict:2"):
            tg.tensor([1.0], device="strict:9")


class TestFunctions:
    def test_beyond_the_standard_are_not_there(self) -> None:
        with pytest.raises(AttributeError):
            XP.logsumexp_of_nobody  # noqa: B018
        with pytest.raises(AttributeError):
            XP.nan_to_num  # noqa: B018

    def test_take_only_the_arguments_of_the_standard(self) -> None:
        with pytest.raises(TypeError):
            XP.sum(XP.asarray([1.0]), where=True)

    def test_speak_of_dtypes_as_numpy_does(self) -> None:
        x = XP.asarray([1.0], dtype=np.float32)
        assert x.dtype == np.float32
        assert XP.result_type(x, XP.asarray([1.0])) == np.float64

    def test_write_into_the_array_itself(self) -> None:
        x = XP.asarray([1.0, 2.0])
        same = x
        x += 1
        x[0] = 5.0
        assert XP.to_numpy(same).tolist() == [5.0, 3.0]
