// The application of the stage: on each side a small server that writes into the table `item` there, and says when the fence
// has refused it; and how it is declared.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Side } from '../sync/pair.ts';

const root = join(import.meta.dirname, '..', '..');

/** What one declares of it. */
export const configText = (legacy: string, service: string) => `
import { identity } from ${JSON.stringify(join(root, 'acl', 'identity.ts'))};
export default {
  upstreams: { legacy: '${legacy}', things: '${service}' },
  legacy: { database: 'shop', manner: { contentType: 'application/json', headers: {}, etag: 'none' } },
  capabilities: [{
    name: 'things', team: 'test', tables: [identity('item')], references: [], writers: { legacy: ['app'], service: ['app'] },
    service: { upstream: 'things', database: 'things', isRefusal: ({ status }) => status === 409 },
    // A command is begun while a stream is kept from going on, on a machine that is short of time.
    gates: { lagMsMax: 30_000, parityComparedMin: 0 },
    routes: [{
      method: 'GET', path: '/things', kind: 'read', safe: true,
      translate: {
        request: ({ query }) => ({ ask: { path: '/things?' + query } }),
        response: ({ status, body }) => ({ status, body }),
      },
    }, {
      method: 'POST', path: '/things', kind: 'write',
      translate: {
        request: ({ body }) => ({ ask: { method: 'POST', path: '/things', body: { form: Buffer.from(body).toString() } } }),
        response: ({ status, body }) => ({ status, body }),
      },
    }],
  }],
};
`;

export type Refusal = { readonly side: Side; readonly id: number; readonly message: string };

/** An application whose writes meet the fence. @returns its URL, and what ends it */
export async function startApp(side: Side, connect: () => Promise<Connection>, refused: Refusal[]) {
  const idle: Connection[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const isWrite = request.method === 'POST';
    const form = isWrite && side === 'service' ? JSON.parse(text).form : text;
    const id = Number(new URLSearchParams(form).get('id'));
    const answer = (status: number, body: object) => {
      response.statusCode = status;
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    };
    const sql = idle.pop() ?? (await connect());
    try {
      if (!isWrite) {
        const asked = new URL(request.url ?? '', 'http://app').searchParams.get('id');
        const [rows] = await sql.query<RowDataPacket[]>('SELECT id FROM item WHERE id = ?', [asked]);
        answer(200, { by: side, isThere: rows.length > 0 });
        idle.push(sql);
        return;
      }
      await sql.query('INSERT INTO item VALUES (?, ?)', [id, `by ${side}`]);
      answer(200, { id });
      idle.push(sql);
    } catch (error) {
      sql.destroy();
      const message = error instanceof Error ? error.message : String(error);
      const isRefused = message.startsWith('banyan: refused');
      if (isRefused) refused.push({ side, id, message });
      answer(isRefused && side === 'service' ? 409 : 500, { message });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
      for (const sql of idle) sql.destroy();
    },
  };
}
