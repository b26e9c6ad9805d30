import time, pytest, os
pytestmark = pytest.mark.timeout(100000)
from tests.system.conftest import engine
from tests.system.test_compose import stack, repository
def test_x(stack):
    print(stack.told)
    print("export DOCKER_HOST="+stack.engine.env["DOCKER_HOST"], stack.http, stack.grpc, stack.folder, flush=True)
    while not os.path.exists("/tmp/stack-done"): time.sleep(1)
