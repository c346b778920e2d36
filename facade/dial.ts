// A socket to an origin, and what is read on it without an allocation a read.
import { connect, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** A peer that vanished without a word is noticed by the kernel, also under an event stream. */
const probeMs = 60_000;

export class Dial {
  readonly #host: string;
  readonly #port: number;
  readonly isTls: boolean;
  readonly #servername: string | undefined;
  /** Of the TLS connection that was opened last: the next handshake is shorter. */
  #session: Buffer | undefined;

  /** @param servername what a certificate must name, where the origin is an address */
  constructor(origin: string, servername: string | undefined) {
    const url = new URL(origin);
    this.isTls = url.protocol === 'https:';
    this.#host = url.hostname.replace(/^\[|\]$/g, '');
    this.#port = Number(url.port || (this.isTls ? 443 : 80));
    this.#servername = servername ?? (isIP(this.#host) === 0 ? this.#host : undefined);
  }

  /** @param ready it may be written to */
  open(onread: OnReadOpts, ready: () => void): Socket {
    const place = { host: this.#host, port: this.#port, onread };
    // A request is whole when it is written: nothing is gained by waiting for more.
    if (!this.isTls)
      return connect({ ...place, noDelay: true })
        .setKeepAlive(true, probeMs)
        .once('connect', ready);
    const socket = connectTls({
      ...place,
      ALPNProtocols: ['http/1.1'],
      ...(this.#servername !== undefined && { servername: this.#servername }),
      ...(this.#session && { session: this.#session }),
    });
    return socket
      .setNoDelay(true)
      .setKeepAlive(true, probeMs)
      .on('session', (session: Buffer) => {
        this.#session = session;
      })
      .once('secureConnect', ready);
  }
}
