"""What a machine can think of: every route of the description with values that fit it and values that do not."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from callers import person, search, send

schemathesis = pytest.importorskip("schemathesis", reason="the extra test is not installed")

EXAMPLES = 12


@pytest.fixture
def described(client, own_gallery):
    """The description of a running server, and real values for what stands in paths."""
    picture = send(client, person(0))
    found = search(client, own_gallery, picture, top=3)
    real = {
        "gallery": own_gallery, "picture": picture, "search": found["search"],
        "item": found["hits"][0]["item"]["id"],
    }  # fmt: skip
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", client.app, headers={"Host": "127.0.0.1"})
    return schema, real


def test_no_request_makes_the_server_fail(described):
    schema, real = described
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 15
    codes = set()
    for operation in operations:
        cases = st.tuples(operation.as_strategy(), st.booleans())

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(cases)
        def fuzz(pair):
            case, use_real = pair
            if use_real:
                for name in real.keys() & (case.path_parameters or {}).keys():
                    case.path_parameters[name] = real[name]
            answer = case.call(headers={"Host": "127.0.0.1"})
            codes.add(answer.status_code)
            assert answer.status_code < 500, (case.method, case.path, answer.text)

        fuzz()
    assert {200, 201, 404, 410, 422} <= codes, codes
