// The server that clients speak to: its parser's strictness, and its limits.
import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { answerClientError, answerUnderWay } from './client-error.ts';
import type { Limits } from './limits.ts';
import { isFromTrusted, isTrusted } from './passage.ts';
import { requestIdOf } from './request-id.ts';

/** Behind other requests it would be answered before them, and no client of websockets does that. */
const isWebsocket = ({ method, headers, httpVersion, socket }: IncomingMessage) =>
  headers.upgrade?.toLowerCase() === 'websocket' &&
  method === 'GET' &&
  httpVersion === '1.1' &&
  answerUnderWay(socket) === undefined;

/** A server of which Fastify keeps the connections and the lifecycle; what a path means is not its affair. */
export function createClientServer(limits: Limits, trustedProxies: BlockList): FastifyInstance {
  const app = fastify({
    logger: false,
    // Asked by limits of rates only.
    trustProxy: (address) => isTrusted(address, trustedProxies),
    genReqId: (request) => requestIdOf(request.headers, () => isFromTrusted(request, trustedProxies)),
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    requestTimeout: limits.requestMsMax,
    connectionTimeout: limits.idleMsMax,
    keepAliveTimeout: limits.keepAliveMsMax,
    clientErrorHandler: answerClientError,
    http: {
      insecureHTTPParser: false,
      // Judged with the rest, so that the answer is in the form of the others.
      requireHostHeader: false,
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersMsMax,
      // How exactly the two time limits of a request are kept.
      connectionsCheckingInterval: Math.min(limits.headersMsMax, 5_000),
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      noDelay: true,
      // Other protocols are not offered: such a request is served as if it had not asked.
      shouldUpgradeCallback: isWebsocket,
    },
    // One route for all: Fastify's router would decode paths as UTF-8, and refuse those of other character sets.
    rewriteUrl: () => '/',
  });
  // Node cuts off headers beyond a thousand: those that say how long the body is, too. Their bytes are limited.
  app.server.maxHeadersCount = 0;
  return app;
}
