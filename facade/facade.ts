// The proxy that every request of a company goes through: a request is read as far as its head, a side is chosen,
// and then it streams.
import { type IncomingMessage, METHODS } from 'node:http';
import type { BlockList } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { BanyanConfig } from '../capability/capability.ts';
import { askAside } from './ask-aside.ts';
import { answerUnderWay } from './client-error.ts';
import { createClientServer } from './client-server.ts';
import { createConsult } from './consult.ts';
import type { ControlView } from './control-view.ts';
import type { Flags } from './flags.ts';
import { createForwarder } from './forwarder.ts';
import { requestHeaders } from './headers.ts';
import { createIdentities, type SigningKey } from './identity-bridge.ts';
import { inTurn } from './in-turn.ts';
import type { Limits } from './limits.ts';
import { listen } from './listen.ts';
import type { Metrics } from './metrics.ts';
import { OwnWrites } from './own-writes.ts';
import type { Parity } from './parity.ts';
import { type Circumstances, chooseAgain, decide, isFromTrusted, judge, originFor } from './passage.ts';
import { createPins, noPins } from './pins.ts';
import { createNamedUser } from './properties.ts';
import { createRateLimits, type RateLimits } from './rate-limits.ts';
import { requestIdOf } from './request-id.ts';
import { createRouteTable } from './route-table.ts';
import { createServe, type Serve } from './serve.ts';
import { createShadow } from './shadow.ts';
import type { SideView } from './side-view.ts';
import type { Tallies } from './tallies.ts';
import type { Tracing } from './tracing.ts';
import { createTunnels, type Tunnels } from './tunnel.ts';
import type { Upstream, UpstreamStatus } from './upstream.ts';
import { createUpstreams } from './upstreams.ts';
import { legacyWrites, type OwnerWrites } from './writes.ts';

export type FacadeDeps = {
  readonly config: BanyanConfig;
  /** By name, where each is, the options' word included. */
  readonly upstreams: BanyanConfig['upstreams'];
  readonly limits: Limits;
  readonly trustedProxies: BlockList;
  readonly flags: Pick<Flags, 'isOn' | 'asksFor' | 'proposedPercent'>;
  readonly control: Pick<ControlView, 'standing'>;
  /** Who owns, and what is done with writes; undefined without a control store: then nothing changes hands. */
  readonly owners: Owners | undefined;
  /** Without one, services are told of no user. */
  readonly identityKey: SigningKey | undefined;
  readonly metrics: Metrics;
  /** What mirrored reads have shown. */
  readonly parity: Parity;
  /** What the service is compared with legacy by. */
  readonly tallies: Tallies;
  /** Without it headers of traces pass as they are. */
  readonly tracing?: Tracing | undefined;
  readonly log: Logger;
};

export type Owners = {
  readonly view: Pick<SideView, 'owner' | 'side' | 'latest' | 'look' | 'refresh'>;
  readonly writes: Pick<OwnerWrites, 'group'>;
};

export type Facade = {
  /** @returns its URL; @throws StartError */
  start(host: string, port: number): Promise<string>;
  /** Accepts nothing new, lets requests in flight finish for as long as the limits say, then ends the rest. */
  stop(): Promise<void>;
  /** Ends all that is in flight at once; for a stop that is under way. */
  stopNow(): void;
  isListening(): boolean;
  openWebsockets(): number;
  upstreams(): UpstreamStatus[];
};

/** Every request comes to one handler, every websocket to one other. */
function mount(
  app: FastifyInstance,
  deps: FacadeDeps,
  circumstances: Circumstances,
  { serve, refuse }: Serve,
  tunnels: Tunnels,
  legacy: Upstream,
  rateLimits: RateLimits | undefined,
): void {
  const { limits, trustedProxies, log } = deps;
  const take = (request: FastifyRequest, reply: FastifyReply) => {
    if (reply.raw.destroyed) return void reply.hijack();
    const judged = judge(request.raw, request.originalUrl, limits);
    if ('refused' in judged) {
      // Where such a request ends is not certain: what comes behind it has no answer.
      if (judged.refused !== 'bad_path') reply.raw.shouldKeepAlive = false;
      return refuse(reply, judged.refused);
    }
    const passage = decide(
      request.raw,
      request.id,
      judged.target,
      originFor(request.raw, trustedProxies),
      circumstances,
    );
    const { trace } = passage;
    if (trace?.isSampled) circumstances.tracing?.follow(request.raw, reply.raw, passage, trace);
    const route = rateLimits && passage.match?.route;
    const limiter = route && rateLimits.limiterOf(route);
    if (!limiter) return serve(request, reply, passage);
    limiter(request).then(
      (allowance) => {
        if (allowance.isExceeded)
          refuse(reply, 'too_many_requests', undefined, Math.ceil(allowance.afterMs / 1000));
        else serve(request, reply, passage);
      },
      (error) => {
        log.error({ err: error, requestId: request.id }, 'the facade failed');
        refuse(reply, 'upstream_failed');
      },
    );
  };
  const methods = METHODS.filter((method) => method !== 'CONNECT');
  // Bodies of every method are streams to the facade, never parsed.
  for (const method of methods) app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  app.route({
    method: methods,
    url: '/',
    handler(request, reply) {
      inTurn(reply.raw, () => {
        try {
          take(request, reply);
        } catch (error) {
          reply.send(error); // to the handler of errors: in its later turn nobody else would catch it
        }
      });
    },
  });
  app.setErrorHandler((error, request, reply) => {
    log.error({ err: error, requestId: request.id }, 'the facade failed');
    refuse(reply, 'upstream_failed');
  });
  app.server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    if (answerUnderWay(socket)) socket.destroy();
    else tunnels.refuse(request, socket, 'bad_path');
  });
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy()); // Node has let go of it: nobody else listens
    const judged = judge(request, request.url ?? '', limits);
    if ('refused' in judged) return tunnels.refuse(request, socket, judged.refused);
    const path = judged.target.path + judged.target.query;
    const requestId = requestIdOf(request.headers, () => isFromTrusted(request, trustedProxies));
    const trace = circumstances.tracing?.begin(request, requestId);
    const headers = requestHeaders(request.rawHeaders, originFor(request, trustedProxies), trace);
    const instance = legacy.instanceAside();
    if (!instance) return tunnels.refuse(request, socket, 'upstream_unavailable');
    tunnels.open(request, socket, head, { upstream: instance, path, headers });
  });
}

/** Everything that a choice depends on. */
const circumstancesOf = ({ config, control, owners, flags, tracing }: FacadeDeps): Circumstances => ({
  tracing,
  routes: createRouteTable(config.capabilities, config.legacy.routes),
  standing: control.standing,
  owner: (capability) => owners?.view.owner(capability)?.side,
  isFlagOn: flags.isOn,
});

export async function createFacade(deps: FacadeDeps): Promise<Facade> {
  const { config, limits, control, owners, identityKey, metrics, log } = deps;
  let state: 'new' | 'listening' | 'stopping' = 'new';
  const app = createClientServer(limits, deps.trustedProxies);
  const forwarder = createForwarder(limits);
  const upstreams = createUpstreams(deps.upstreams, limits, metrics, log);
  const legacy = upstreams.upstream('legacy');
  const tunnels = createTunnels(limits, log);
  const askLegacy = askAside(legacy);
  const { identity } = config.legacy;
  const circumstances = circumstancesOf(deps);
  const shadow = createShadow({
    ...deps,
    place: (upstream) => upstreams.upstream(upstream).instanceAside(),
    standing: control.standing,
    owner: (capability) => owners?.view.owner(capability),
  });
  const identities =
    identity && identityKey
      ? createIdentities({ declaration: identity, askLegacy, key: identityKey, limits })
      : undefined;
  const serving = createServe({
    config,
    forwarder,
    consult: createConsult(askLegacy, limits),
    upstream: upstreams.upstream,
    standing: control.standing,
    choose: (passage) => chooseAgain(passage, circumstances),
    writes: owners?.writes ?? legacyWrites,
    look: async () => owners?.view.look(),
    pins: owners
      ? createPins({
          view: owners.view,
          ownWrites: new OwnWrites({ clientsMax: limits.pinClientsMax, pinMsMax: limits.pinMsMax }),
          standing: control.standing,
        })
      : noPins,
    shadow,
    tallies: deps.tallies,
    identities,
    namedUser: createNamedUser({ sessionCookie: identity?.cookie, identities, flags: deps.flags }),
    limits,
    metrics,
    log,
    isStopping: () => state === 'stopping',
  });

  const rateLimits = await createRateLimits(app, config);
  mount(app, deps, circumstances, serving, tunnels, legacy, rateLimits);

  function endOpenEnded(): void {
    forwarder.endStreams();
    tunnels.stop();
  }
  function stopNow(): void {
    endOpenEnded();
    app.server.closeAllConnections();
  }

  return {
    async start(host, port) {
      await upstreams.start();
      const url = await listen(app, host, port, '--port', 'BANYAN_FACADE_PORT');
      state = 'listening';
      return url;
    },
    async stop() {
      state = 'stopping';
      const grace = setTimeout(endOpenEnded, Math.min(limits.websocketGraceMsMax, limits.stopMsMax));
      const end = setTimeout(stopNow, limits.stopMsMax);
      // Node closes the connections that are idle when it is told to stop, not those that become so afterwards.
      const idle = setInterval(() => app.server.closeIdleConnections(), 50);
      await app.close();
      for (const timer of [grace, end, idle]) clearTimeout(timer);
      await shadow.stop();
      forwarder.stop();
      await upstreams.stop();
    },
    stopNow,
    isListening: () => state === 'listening',
    openWebsockets: tunnels.count,
    upstreams: upstreams.status,
  };
}
