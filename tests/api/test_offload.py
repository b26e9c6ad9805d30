import asyncio

import numpy as np
from tests.codecs.signatures import signature

from inferd.api.offload import Inline
from inferd.core.plan import BatchPlan

VECTOR = signature([("x", "FP32", [-1, 2])])


def test_inline_codes_both_ways():
    async def both():
        plan, deadline = BatchPlan(), float("inf")
        decoded = await Inline().decode("simple", b'{"data":[[1,2]]}', VECTOR, plan, deadline)
        outputs = {"y": np.float32([[decoded.inputs["x"].sum()]])}
        return await Inline().encode("simple", outputs, VECTOR, plan, decoded, "m", "1", deadline)

    assert asyncio.run(both()) == b'{"result":[3.0]}'
