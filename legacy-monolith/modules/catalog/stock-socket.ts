import type { FastifyInstance } from 'fastify';
import type { Database } from '../../database.ts';
import type { ShopEvents } from '../../events.ts';
import { notFoundPage } from '../../html.ts';
import { Refusal, requiredId } from '../../wire.ts';
import { findStock } from './service.ts';

/** The socket as far as it is used here; @fastify/websocket brings `ws`. */
type Socket = {
  readonly readyState: number;
  send(text: string): void;
  close(code?: number): void;
  on(event: 'message', listener: (data: { toString(): string }) => void): void;
  on(event: 'close', listener: () => void): void;
};

const open = 1;

/** Reads the stock and sends it; a change during the reading makes it read again, so the last word is the latest. */
function stockSender(db: Database, prdNo: number, socket: Socket): () => void {
  let reading = false;
  let stale = false;
  const send = async () => {
    reading = true;
    do {
      stale = false;
      const stkQty = await findStock(db, prdNo);
      if (socket.readyState === open && stkQty !== undefined)
        socket.send(JSON.stringify({ type: 'stock', prdNo, stkQty }));
    } while (stale);
    reading = false;
  };
  return () => {
    if (reading) stale = true;
    else send().catch(() => socket.close(1011));
  };
}

/** {"type":"ping"}, whatever else a client may say. */
function isPing(text: string): boolean {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ping';
  } catch {
    return false;
  }
}

/** GET /ws/stock?prdNo=: {"type":"stock","prdNo":N,"stkQty":N} at once and after each change in this process. */
export function stockSocket(app: FastifyInstance, db: Database, events: ShopEvents): void {
  app.route({
    method: 'GET',
    url: '/ws/stock',
    // Before the upgrade: an unknown product gets a plain 404, and no socket.
    preValidation: async (request, reply) => {
      try {
        if ((await findStock(db, requiredId(request.query, 'prdNo'))) !== undefined) return;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
      return notFoundPage(reply);
    },
    handler: async (_request, reply) =>
      reply.code(426).header('connection', 'upgrade').header('upgrade', 'websocket').send(),
    wsHandler: (socket: Socket, request) => {
      const prdNo = requiredId(request.query, 'prdNo');
      const send = stockSender(db, prdNo, socket);
      const changed = (changedNo: number) => changedNo === prdNo && send();
      events.on('stock', changed);
      socket.on('close', () => events.off('stock', changed));
      socket.on('message', (data) => {
        if (isPing(data.toString())) socket.send(JSON.stringify({ type: 'pong' }));
      });
      send();
    },
  });
}
