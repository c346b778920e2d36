// A TCP relay whose connections a test can cut, stall or damage.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export type Relay = {
  readonly port: number;
  /** Bytes from the server after which a connection is cut; none by default. */
  cutAfterBytes: number;
  /** Changes what the server sends. */
  damage: ((bytes: Buffer) => Buffer) | undefined;
  /** Passes nothing on, and closes nothing. */
  isStalled: boolean;
  cutAll(): void;
  readonly connectionCount: number;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function startRelay(toPort: number): Promise<Relay> {
  const open = new Set<Socket>();
  let connectionCount = 0;
  const server = createServer((client) => {
    connectionCount++;
    const upstream = connect(toPort, '127.0.0.1');
    let passed = 0;
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.on('error', () => socket.destroy());
    }
    client.on('data', (bytes) => upstream.write(bytes));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    upstream.on('data', (bytes) => {
      if (relay.isStalled) return;
      passed += bytes.length;
      if (passed > relay.cutAfterBytes) {
        client.end(bytes.subarray(0, Math.max(0, relay.cutAfterBytes - (passed - bytes.length))));
        upstream.destroy();
      } else if (!client.write(relay.damage?.(bytes) ?? bytes)) {
        upstream.pause();
        client.once('drain', () => upstream.resume());
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const relay = {
    port: typeof address === 'object' && address ? address.port : 0,
    cutAfterBytes: Number.POSITIVE_INFINITY,
    damage: undefined as Relay['damage'],
    isStalled: false,
    cutAll: () => {
      for (const socket of open) socket.destroy();
    },
    get connectionCount() {
      return connectionCount;
    },
    [Symbol.asyncDispose]: async () => {
      relay.cutAll();
      server.close();
      await once(server, 'close');
    },
  };
  return relay;
}
