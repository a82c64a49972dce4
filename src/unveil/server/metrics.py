"""What Prometheus is told: requests, their time, the engine's batches. No name, no query, no gallery content."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The figures of one server, apart from those of any other in the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "unveil_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "unveil_request_seconds", "Time to answer a request.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.under_way = Gauge("unveil_requests_under_way", "Requests not answered yet.", registry=self.registry)
        self.searches = Counter("unveil_searches", "Searches done.", ("gallery",), registry=self.registry)
        self.batches = Counter("unveil_engine_calls", "Calls of the embedding engine.", registry=self.registry)
        self.crops = Counter("unveil_engine_crops", "Crops embedded.", registry=self.registry)

    def embedded(self, crops: int) -> None:
        """Count one call of the engine."""
        self.batches.inc()
        self.crops.inc(crops)

    def text(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self.registry)
