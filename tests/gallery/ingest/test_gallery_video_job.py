"""The state of a video outlives the rows that it gave, so it holds no label of theirs."""

import json

import pytest
from stored import SPACE, embedding

from unveil.errors import DataError
from unveil.gallery.ingest.video_job import VideoJob

CHOICES = {"camera": "gate of the old mill", "tags": ["rain"], "every": 5}


@pytest.fixture
def shop(store):
    store.create("shop", SPACE)
    return store


def begun(store, choices):
    job = VideoJob(store, "shop", video="a video", choices=choices, live=False)
    job.store.add("shop", [], embedding=embedding(0), job=job.name, done=job.state(7, 0.5, tracklets=2))
    return store.job_state("shop", job.name)


def test_a_state_has_no_camera_and_no_tag_and_still_goes_on(shop):
    state = begun(shop, CHOICES)
    assert "mill" not in json.dumps(state) and "rain" not in json.dumps(state)
    assert VideoJob(shop, "shop", video="a video", choices=CHOICES, live=False).begin()["frame"] == 7


@pytest.mark.parametrize("other", [{"camera": "yard"}, {"tags": []}, {"every": 6}])
def test_other_choices_are_refused_without_telling_the_label_from_before(shop, other):
    begun(shop, CHOICES)
    with pytest.raises(DataError, match=next(iter(other))) as refused:
        VideoJob(shop, "shop", video="a video", choices={**CHOICES, **other}, live=False).begin()
    assert "mill" not in str(refused.value) or "camera" not in other


def test_a_state_of_before_is_understood(shop):
    job = VideoJob(shop, "shop", video="a video", choices=CHOICES, live=False)
    state = {**job.state(7, 0.5, tracklets=2), "choices": CHOICES}
    shop.add("shop", [], embedding=embedding(0), job=job.name, done=state)
    assert job.begin()["frame"] == 7
