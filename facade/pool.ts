// Connections to one origin.
import { Pool } from 'undici';
import type { Limits } from './options.ts';

/** @param servername what a certificate must name, where the origin is an address */
export const createPool = (
  origin: string,
  limits: Pick<Limits, 'upstreamConnectionsMax' | 'connectMsMax'>,
  servername?: string,
): Pool =>
  new Pool(origin, {
    connections: limits.upstreamConnectionsMax,
    pipelining: 1,
    connect: { timeout: limits.connectMsMax, ...(servername !== undefined && { servername }) },
    // Both kept by who asks: undici's clock for the head also counts while a slow client is still sending its body, and a body may
    // pause for as long as an event stream likes.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
    maxHeaderSize: 64 * 1024,
  });
