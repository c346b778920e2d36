import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

const read = { capability: 'reviews', side: 'legacy', kind: 'read' } as const;

test('a scrape has what was counted, as prom-client would have written it', async () => {
  const { registry, observe, chose } = createMetrics();
  observe({ ...read, status: 200, seconds: 0.001 });
  observe({ ...read, status: 204, seconds: 0.003 });
  observe({ ...read, status: 503, seconds: 40 });
  chose('reviews', 'service', 'owner');
  chose('reviews', 'service', 'owner');
  for (const _scrape of [1, 2]) {
    const lines = (await registry.metrics()).split('\n');
    const labels = 'capability="reviews",side="legacy",kind="read"';
    expect(lines).toEqual(
      expect.arrayContaining([
        '# TYPE banyan_facade_answer_seconds histogram',
        `banyan_facade_requests_total{${labels},status="2xx"} 2`,
        `banyan_facade_requests_total{${labels},status="5xx"} 1`,
        `banyan_facade_answer_seconds_bucket{${labels},le="0.001"} 1`,
        `banyan_facade_answer_seconds_bucket{${labels},le="0.005"} 2`,
        `banyan_facade_answer_seconds_bucket{${labels},le="30"} 2`,
        `banyan_facade_answer_seconds_bucket{${labels},le="+Inf"} 3`,
        `banyan_facade_answer_seconds_sum{${labels}} 40.004`,
        `banyan_facade_answer_seconds_count{${labels}} 3`,
        'banyan_facade_choices_total{capability="reviews",side="service",reason="owner"} 2',
      ]),
    );
  }
});

test('a minute forgets what is older', () => {
  let nowMs = 1_000_000;
  const metrics = createMetrics(() => nowMs);
  const count = () => metrics.readsLastMinute('reviews', 'legacy');
  metrics.observe({ ...read, status: 200, seconds: 0 });
  nowMs += 59_000;
  metrics.observe({ ...read, status: 200, seconds: 0 });
  expect(count()).toBe(2);
  nowMs += 1_000;
  expect(count()).toBe(1);
  metrics.observe({ ...read, status: 200, seconds: 0 });
  expect(count()).toBe(2);
  nowMs += 3_600_000;
  expect(count()).toBe(0);
  expect(metrics.readsLastMinute('reviews', 'service')).toBe(0);
});
