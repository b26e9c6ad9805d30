import pytest
import yaml
from tests.deploy.conftest import write_app
from tests.deploy.test_split import planned

from inferd.config.load import load_settings
from inferd.core.errors import ConfigError
from inferd.deploy.services import definitions, deployment_text, ports_of, served


def written(plan, folder, first=8101):
    texts = definitions(plan, ports_of(plan, first), folder)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return texts


def test_the_files_of_a_split(app, tmp_path, snapshot):
    texts = written(planned(app, "first,both=pairs"), tmp_path / "services")

    snapshot("split.txt", "".join(f"==> {name} <==\n{text}\n" for name, text in texts.items()))


def test_each_definition_is_settings_that_serve_its_models(app, tmp_path):
    plan = planned(app, "first,second")
    written(plan, tmp_path / "services")

    for name, port in (("first", 8101), ("second", 8102)):
        settings = load_settings(file=tmp_path / "services" / name / "inferd.yaml", environ={})
        [path] = settings.models
        assert (app / {"first": "sums", "second": "pairs"}[name]).samefile(path)
        assert settings.server.port == port
        assert settings.server.state_dir == tmp_path / "services" / name / "state"


def test_the_front_asks_where_the_deployment_says(app, tmp_path):
    plan = planned(app, "first")
    texts = written(plan, tmp_path / "services")
    front = yaml.safe_load(texts["app/inferd.yaml"])

    assert front["models"] == ["../../app"]
    assert front["server"]["deployment"] == "../deployment.yaml"
    assert yaml.safe_load(texts["deployment.yaml"]) == {
        "services": {"sums": {"url": ["http://127.0.0.1:8101"]}}
    }


def test_ports_do_not_meet(app):
    found = ports_of(planned(app, "first,second"), 8101)

    assert (found["first"].http, found["first"].grpc, found["first"].admin) == (8101, 8201, 8301)
    assert (found["app"].http, found["app"].grpc, found["app"].admin) == (8000, 8001, 8002)


@pytest.mark.parametrize("first", [8000, 7901, 65500])
def test_ports_that_cannot_be_are_refused(app, first):
    with pytest.raises(ConfigError, match="ports"):
        ports_of(planned(app, "first,second"), first)


def test_models_of_a_service_are_all_in_the_deployment(app):
    plan = planned(app, "both=first+second")

    assert yaml.safe_load(deployment_text(plan, ports_of(plan)))["services"].keys() == {
        "pairs", "sums",
    }  # fmt: skip


def test_models_beside_the_pipeline_are_served_with_it_and_others_by_themselves(tmp_path):
    repository = tmp_path / "repository"
    app = write_app(repository / "app")
    (app / "sums").rename(repository / "sums")

    plan = planned(repository, "second")

    assert served(plan.front.specs) == {app, repository / "sums"}
