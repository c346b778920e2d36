// A small TCP relay between a process and a server: what happens to its connections is decided here.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

type Link = { readonly client: Socket; readonly server: Socket; isDeaf: boolean };

/** What happens to the first connection on which the client sends these bytes. */
type Trap = {
  readonly bytes: Buffer;
  /** `answer`: the server gets them, the client never hears of it. `request`: the server does not get them. */
  readonly lose: 'answer' | 'request' | 'nothing';
  /** Before anybody can know that it is lost. */
  readonly then: () => void;
  readonly sprung: PromiseWithResolvers<void>;
  /** `nothing`: they are on their way until then. */
  readonly released: Promise<void>;
};

export type Held = {
  /** When it has happened. */
  readonly sprung: Promise<void>;
  /** Now the server gets it. */
  release(): void;
};

export type Relay = {
  readonly port: number;
  readonly connections: () => number;
  /** Every connection is reset. */
  cut(): void;
  /** Nothing passes, in neither direction, and nobody is told; new connections stall, too. */
  stall(): void;
  resume(): void;
  /** The server sees each connection's end, and what it says no longer reaches the client. */
  halfClose(): void;
  /** Nobody gets through until `accept`. */
  refuse(): void;
  accept(): void;
  /** New connections lead to another server: an address that was given to it. */
  lead(toPort: number): void;
  /** Once, at this whole statement. @returns when it has happened */
  loseAt(text: string, lose: 'answer' | 'request', then?: () => void): Promise<void>;
  /** Once, at the first packet that has these words in it. @returns when it has happened */
  loseAtPart(words: string, lose: 'answer' | 'request', then?: () => void): Promise<void>;
  /** Once, the first packet that has these words in it stays on its way, and what its connection sends after it. */
  holdAtPart(words: string, then?: () => void): Held;
  /** What has not happened yet of these will not happen. */
  disarm(): void;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A socket that is at its end already is only closed: Node never gets rid of one that is reset then. */
const reset = (socket: Socket) => (socket.writableEnded ? socket.destroy() : socket.resetAndDestroy());

/** A query of the MySQL protocol, as it is sent: three bytes of length, a number, the command. */
const queryPacket = (sql: string) => {
  const text = Buffer.from(sql);
  const head = Buffer.alloc(5);
  head.writeUIntLE(text.length + 1, 0, 3);
  head[4] = 3;
  return Buffer.concat([head, text]);
};

function pass(link: Link, trap: () => Trap | undefined, spring: () => void): void {
  const { client, server } = link;
  client.on('data', (chunk) => {
    const set = trap();
    if (set && chunk.includes(set.bytes)) {
      spring();
      if (set.lose === 'nothing') {
        client.pause();
        set.then();
        set.sprung.resolve();
        set.released.then(() => {
          server.write(chunk);
          client.resume();
        });
        return;
      }
      if (set.lose === 'request') {
        set.then();
        reset(client);
        reset(server);
        set.sprung.resolve();
        return;
      }
      link.isDeaf = true;
      // The answer says that the server has done it.
      server.once('data', () => {
        set.then();
        reset(client);
        reset(server);
        set.sprung.resolve();
      });
    }
    if (!server.write(chunk)) client.pause();
  });
  server.on('data', (chunk) => {
    if (!link.isDeaf && !client.write(chunk)) server.pause();
  });
  client.on('drain', () => server.resume());
  server.on('drain', () => client.resume());
  client.on('end', () => server.end());
  server.on('end', () => {
    if (!link.isDeaf) client.end();
  });
}

export async function startRelay(toPort: number): Promise<Relay> {
  const links = new Set<Link>();
  let isStalled = false;
  let isRefusing = false;
  let port = toPort;
  let trap: Trap | undefined;
  const listener: Server = createServer({ allowHalfOpen: true }, (client) => {
    if (isRefusing) {
      reset(client);
      return;
    }
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const link: Link = { client, server, isDeaf: false };
    links.add(link);
    pass(
      link,
      () => trap,
      () => {
        trap = undefined;
      },
    );
    if (isStalled) {
      client.pause();
      server.pause();
    }
    for (const socket of [client, server]) {
      socket.on('error', () => undefined); // its close says the same
      socket.on('close', () => {
        if (!link.isDeaf || socket === client) {
          client.destroy();
          server.destroy();
          links.delete(link);
        }
      });
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  const each = (act: (link: Link) => void) => [...links].forEach(act);
  const cut = () =>
    each(({ client, server }) => {
      reset(client);
      reset(server);
    });
  const set = (bytes: Buffer, lose: Trap['lose'], then: Trap['then'] = () => undefined): Held => {
    const released = Promise.withResolvers<void>();
    const sprung = Promise.withResolvers<void>();
    trap = { bytes, lose, then, sprung, released: released.promise };
    return { sprung: sprung.promise, release: () => released.resolve() };
  };
  return {
    port: address.port,
    connections: () => links.size,
    cut,
    stall: () => {
      isStalled = true;
      each(({ client, server }) => {
        client.pause();
        server.pause();
      });
    },
    resume: () => {
      isStalled = false;
      each(({ client, server }) => {
        client.resume();
        server.resume();
      });
    },
    halfClose: () =>
      each((link) => {
        link.isDeaf = true;
        link.server.end();
      }),
    refuse: () => {
      isRefusing = true;
      cut();
    },
    accept: () => {
      isRefusing = false;
    },
    lead: (to) => {
      port = to;
    },
    loseAt: (text, lose, then) => set(queryPacket(text), lose, then).sprung,
    loseAtPart: (words, lose, then) => set(Buffer.from(words), lose, then).sprung,
    holdAtPart: (words, then) => set(Buffer.from(words), 'nothing', then),
    disarm: () => {
      trap = undefined;
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      listener.close();
      await once(listener, 'close');
    },
  };
}
