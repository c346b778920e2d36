// Both sides' servers with their fences, and facades before upstreams that a test holds in its hand: what the suites of hold and
// release run on.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pino } from 'pino';
import type { Capability, Route, Side } from '../../capability/capability.ts';
import { migrateOwnSchema } from '../../capability/control-store.ts';
import * as fence from '../../capability/fence.ts';
import { createMetrics } from '../../facade/metrics.ts';
import { parseFacadeOptions } from '../../facade/options.ts';
import { createOwners, type WatchedOwners } from '../../facade/owners.ts';
import { startFacade, type TestFacade } from '../../facade/test-servers.ts';
import { claimFolder } from '../claimed-folder.ts';
import { type Relay, startRelay } from '../relay.ts';
import { type SideServer, startSide } from '../sync/servers.ts';

const sideNames = ['legacy', 'service'] as const;
const rights = ['banyan_fence', 'banyan_hold', 'banyan_stream'];

export type Sides = {
  readonly legacy: SideServer;
  readonly service: SideServer;
  /** To the control store, which is on the legacy server. */
  readonly control: Relay;
  /** For the statements of capability/fence.ts. */
  readonly on: Readonly<Record<Side, fence.FenceSessions>>;
  /** What facades connect with: an account that has the rights of the facade's, and no more. */
  url(through: Relay): string;
  /** Legacy owns at epoch 1, no hold and no turn, no replica. */
  reset(capabilities: readonly string[]): Promise<void>;
  /** As the worker does it. */
  open(side: Side, capability: string, epoch: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function startSides(): Promise<Sides> {
  const runFolder = await claimFolder('facade');
  const folder = runFolder.path;
  const [legacy, service] = await Promise.all([
    startSide(folder, 31, runFolder),
    startSide(folder, 32, runFolder),
  ]);
  const servers = { legacy, service };
  const password = randomBytes(12).toString('hex');
  for (const side of sideNames) {
    await servers[side].query('CREATE DATABASE banyan');
    const sql = await servers[side].connect('banyan');
    await migrateOwnSchema(sql, 'side');
    if (side === 'legacy') await migrateOwnSchema(sql, 'control');
    await sql.query(`CREATE USER banyan_facade@'%' IDENTIFIED BY '${password}'`);
    for (const table of rights) await sql.query(`GRANT SELECT ON banyan.${table} TO banyan_facade@'%'`);
    if (side === 'legacy')
      await sql.query("GRANT SELECT, INSERT, UPDATE, DELETE ON banyan.replica TO banyan_facade@'%'");
    sql.destroy();
  }
  const sessions = async (side: Side): Promise<fence.FenceSessions> => {
    const sql = await servers[side].connect();
    await fence.prepareFenceSession(sql);
    return { sql, observer: await servers[side].connect() };
  };
  const on = { legacy: await sessions('legacy'), service: await sessions('service') };
  const control = await startRelay(Number(new URL(legacy.url).port));
  return {
    legacy,
    service,
    control,
    on,
    url: ({ port }) => `mysql://banyan_facade:${password}@127.0.0.1:${port}`,
    async reset(capabilities) {
      for (const side of sideNames) {
        await servers[side].query(
          'DELETE FROM banyan.banyan_fence; DELETE FROM banyan.banyan_hold; DELETE FROM banyan.banyan_stream',
        );
        for (const name of capabilities)
          await servers[side].query(
            "INSERT INTO banyan.banyan_fence (capability, owner, epoch) VALUES (?, 'legacy', 1)",
            [name],
          );
      }
      await legacy.query('DELETE FROM banyan.replica');
    },
    async open(side, capability, epoch) {
      await servers[side].query(
        'UPDATE banyan.banyan_fence SET owner = ?, epoch = ?, turn_id = NULL, turn_deadline = NULL WHERE capability = ? AND owner <> ? AND epoch = ?',
        [side, epoch, capability, side, epoch - 1],
      );
    },
    async [Symbol.asyncDispose]() {
      for (const side of sideNames) {
        on[side].sql.destroy();
        on[side].observer.destroy();
      }
      await control[Symbol.asyncDispose]();
      await Promise.all([legacy[Symbol.asyncDispose](), service[Symbol.asyncDispose]()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type Arrived = { readonly method: string; readonly path: string; readonly body: string };

/** An upstream that notes what arrives, and answers when it is let. */
export type Upstream = {
  readonly url: string;
  readonly arrived: Arrived[];
  /** Of the answers under way. */
  waiting(): number;
  /** From now on nothing is answered until `letGo`. */
  keep(): void;
  letGo(): void;
  /** Instead of the usual answer. */
  answer: (response: ServerResponse, request: IncomingMessage) => void;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function startUpstream(name: string): Promise<Upstream> {
  const arrived: Arrived[] = [];
  let kept: (() => void)[] | undefined;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // half a request
    }
    arrived.push({
      method: request.method ?? '',
      path: request.url ?? '',
      body: Buffer.concat(chunks).toString(),
    });
    const reply = () => upstream.answer(response, request);
    if (kept) kept.push(reply);
    else reply();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  const upstream: Upstream = {
    url: `http://127.0.0.1:${address.port}`,
    arrived,
    waiting: () => kept?.length ?? 0,
    keep: () => {
      kept ??= [];
    },
    letGo: () => {
      const replies = kept ?? [];
      kept = undefined;
      for (const reply of replies) reply();
    },
    answer: (response) =>
      void response.setHeader('content-type', 'application/json').end(JSON.stringify({ by: name })),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
  return upstream;
}

/** What the tests' service says when its fence refuses. */
export const isRefusal: Capability['service']['isRefusal'] = ({ status }) => status === 409;

const translate: Route & { kind: 'write' } = {
  method: 'POST',
  path: '/api/review/write.do',
  kind: 'write',
  translate: {
    request: ({ body }) => ({
      ask: { method: 'POST', path: '/reviews', body: { form: Buffer.from(body).toString() } },
    }),
    response: () => ({ status: 200, body: { resultCode: '0000' } }),
  },
};

const capabilityOf = (name: string, routes: readonly Route[]): Capability => ({
  name,
  team: 'test',
  routes,
  tables: [],
  references: [],
  service: { upstream: 'reviews', database: name, isRefusal },
});

/** `reviews` moves; `orders` writes its tables, too. */
export const capabilities: readonly Capability[] = [
  capabilityOf('reviews', [
    translate,
    { method: 'POST', path: '/api/review/modify.do', kind: 'write' },
    {
      method: 'GET',
      path: '/api/review/list.do',
      kind: 'read',
      safe: true,
      translate: {
        request: () => ({ ask: { path: '/reviews' } }),
        response: () => ({ status: 200, body: { by: 'service' } }),
      },
    },
  ]),
  capabilityOf('orders', [
    { method: 'POST', path: '/api/order/cancel.do', kind: 'write', alsoWrites: ['reviews'] },
  ]),
];

export type Replica = TestFacade & {
  readonly owners: WatchedOwners;
  /** Without waiting for an answer of the registry. */
  readonly started: Promise<void>;
};

export async function startReplica(
  sides: Sides,
  upstreams: { readonly legacy: Upstream; readonly service: Upstream },
  words: readonly string[] = [],
): Promise<Replica> {
  const limits = parseFacadeOptions(['--stop-ms-max', '2000', ...words], {});
  const urls = { legacy: sides.url(sides.legacy.relay), service: sides.url(sides.service.relay) };
  const metrics = createMetrics();
  const log = pino({ level: process.env.BANYAN_TEST_LOG ?? 'silent' });
  const names = capabilities.map(({ name }) => name);
  const owners = createOwners(names, urls, sides.url(sides.control), limits, metrics, log);
  const facade = await startFacade({
    legacy: upstreams.legacy.url,
    service: upstreams.service.url,
    capabilities,
    legacyRoutes: [
      { method: 'POST', path: '/api/member/leave.do', kind: 'write', alsoWrites: ['reviews'] },
      { method: 'GET', path: '/products/:prdNo', kind: 'read', safe: true, alsoReads: ['reviews'] },
    ],
    owners,
    metrics,
    limits,
    log,
    standing: () => ({ phase: 'reads', ready: true }),
  });
  const started = owners.start('http://127.0.0.1:1');
  return {
    ...facade,
    owners,
    started,
    [Symbol.asyncDispose]: async () => {
      await facade[Symbol.asyncDispose]();
      await started;
      await owners.stop();
    },
  };
}
