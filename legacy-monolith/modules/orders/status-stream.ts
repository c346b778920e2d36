// An order's status as server-sent events (WHATWG HTML, 9.2).
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Database } from '../../database.ts';
import type { ShopEvents } from '../../events.ts';
import { Refusal, required } from '../../wire.ts';
import { requireMember } from '../members/session.ts';
import { findStatus, statusNames } from './service.ts';

type Follower = {
  ordNo: string;
  /** @returns undefined when the order is gone */
  readStatus: () => Promise<string | undefined>;
  /** The id of the last event that the client has had, before it lost the connection. */
  lastEventId: string | undefined;
  events: ShopEvents;
  heartbeatMs: number;
};

/**
 * The present status first, unless the client has it already, then each new one. A heartbeat is a comment; it
 * also looks into the database, because the batch and the warehouse write there without telling this process.
 */
function statusStream({ ordNo, readStatus, lastEventId, events, heartbeatMs }: Follower): Readable {
  let known = lastEventId;
  // Looked for one after the other, so that an older answer cannot come last.
  let looking = Promise.resolve();
  const look = () => {
    looking = looking.then(async () => {
      const status = await readStatus();
      if (status === undefined || stream.destroyed || `${ordNo}-${status}` === known) return;
      known = `${ordNo}-${status}`;
      const data = JSON.stringify({ ordNo, ordStsCd: status, ordStsNm: statusNames[status] ?? '' });
      stream.push(`id: ${known}\nevent: status\ndata: ${data}\n\n`);
    });
    // A stream that cannot look any more ends; the client comes back by itself and says what it has had.
    looking.catch(() => stream.destroy());
  };
  const changed = (changedNo: string) => changedNo === ordNo && look();
  const heartbeat = setInterval(() => {
    stream.push(': heartbeat\n\n');
    look();
  }, heartbeatMs);
  const stream = new Readable({
    read() {},
    destroy(error, done) {
      clearInterval(heartbeat);
      events.off('order', changed);
      done(error);
    },
  });
  events.on('order', changed);
  stream.push('retry: 3000\n\n');
  look();
  return stream;
}

/** GET /api/order/status-stream.do?ordNo=: the member's own order, until one side hangs up. */
export function statusStreamRoute(
  app: FastifyInstance,
  db: Database,
  events: ShopEvents,
  heartbeatMs: number,
): void {
  const open = new Set<Readable>();
  // Before the server waits for its answers to end: these do not end by themselves.
  app.addHook('preClose', async () => {
    for (const stream of open) stream.push(null);
  });
  app.get('/api/order/status-stream.do', async (request, reply) => {
    const mbrId = await requireMember(db, request);
    const ordNo = required(request.query, 'ordNo', /^\d{16}$/);
    const readStatus = () => findStatus(db, mbrId, ordNo);
    if ((await readStatus()) === undefined) throw new Refusal('2003');
    reply.header('content-type', 'text/event-stream;charset=UTF-8').header('cache-control', 'no-cache');
    if (request.method === 'HEAD') return reply.send();
    const lastEventId = request.headers['last-event-id'];
    const stream = statusStream({
      ordNo,
      readStatus,
      lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
      events,
      heartbeatMs,
    });
    open.add(stream);
    stream.once('close', () => open.delete(stream));
    return reply.send(stream);
  });
}
