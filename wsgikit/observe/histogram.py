"""Percentiles of many times in bounded memory: a histogram with buckets that grow by a constant factor.

Owns the buckets and their error. A value lies in a bucket that is 2 % wide, and a percentile is told as the middle of
its bucket: it is within 1 % of the exact one (and never outside of the smallest and largest value seen). A year in
microseconds is bucket 1,569, so that no input makes more buckets than that.
"""

from __future__ import annotations

from math import exp, log

GROWTH = log(1.02)
ERROR = 0.01
"""Largest relative error of a percentile."""

_LARGEST = 365 * 86400 * 10**6  # us


class Histogram:
    """Counts of values (integers >= 0; in this room microseconds)."""

    __slots__ = ("buckets", "count", "largest", "smallest", "total")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.smallest = 0
        self.largest = 0

    def add(self, value: int) -> None:
        bucket = int(log(min(value, _LARGEST)) / GROWTH) if value > 0 else -1
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.smallest = min(self.smallest, value) if self.count else value
        self.largest = max(self.largest, value)
        self.count += 1
        self.total += value

    def merge(self, other: Histogram) -> None:
        """Add all values of another one; as exact as if they had been added one by one."""
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        if other.count:
            self.smallest = min(self.smallest, other.smallest) if self.count else other.smallest
        self.largest = max(self.largest, other.largest)
        self.count += other.count
        self.total += other.total

    def quantile(self, share: float) -> int | None:
        """The smallest value that at least `share` (0..1) of all values do not exceed; None when there are none."""
        if not self.count:
            return None
        wanted = share * self.count
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                middle = 0 if bucket < 0 else round(exp((bucket + 0.5) * GROWTH))
                return min(max(middle, self.smallest), self.largest)
        return self.largest
