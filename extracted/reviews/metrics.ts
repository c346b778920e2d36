import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from './database.ts';

/** Counts and times every request by the pattern of its route, and looks at the pool when asked. */
export function addMetrics(app: FastifyInstance, database: Database): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: 'reviews_http_requests_total',
    help: 'Requests answered',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'reviews_http_request_duration_seconds',
    help: 'From the request line to the end of the answer',
    labelNames: ['method', 'route'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  new Gauge({
    name: 'reviews_db_connections',
    help: 'Connections to the database: open, those of them in use, and the most there may be',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const { open, inUse, max } = database.pool();
      this.set({ state: 'open' }, open);
      this.set({ state: 'in_use' }, inUse);
      this.set({ state: 'max' }, max);
    },
  });
  let waitedBefore = 0;
  new Counter({
    name: 'reviews_db_connection_waits_total',
    help: 'Times a request had to wait for a connection',
    registers: [registry],
    collect() {
      const { waitedTotal } = database.pool();
      this.inc(waitedTotal - waitedBefore);
      waitedBefore = waitedTotal;
    },
  });
  app.addHook('onResponse', async (request, reply) => {
    // Never the path itself: a client could make as many series as it likes.
    const route = request.routeOptions.url ?? 'none';
    requests.inc({ method: request.method, route, status: `${Math.floor(reply.statusCode / 100)}xx` });
    seconds.observe({ method: request.method, route }, reply.elapsedTime / 1000);
  });
  return registry;
}
