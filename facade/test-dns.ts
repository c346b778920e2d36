// A DNS server for tests: over UDP, with A and SRV records that a test may change, or no answer at all.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export type Srv = { readonly priority: number; readonly target: string; readonly port: number };

export type TestDns = {
  /** For Resolver.setServers. */
  readonly server: string;
  /** Names with their IPv4 addresses. */
  readonly a: Map<string, readonly string[]>;
  readonly srv: Map<string, readonly Srv[]>;
  /** Says nothing any more, as long as it is so. */
  isSilent: boolean;
  /** Questions so far. */
  asked(): number;
  [Symbol.asyncDispose](): Promise<void>;
};

const types = { a: 1, srv: 33 };

function nameAt(packet: Buffer, from: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = from;
  for (let length = packet[at] ?? 0; length > 0; length = packet[at] ?? 0) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

const encoded = (name: string) =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ]);

function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the name of the question
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(0, 6); // not to be kept
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function srvData({ priority, target, port }: Srv): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(priority, 0);
  head.writeUInt16BE(port, 4);
  return Buffer.concat([head, encoded(target)]);
}

export async function startDns(): Promise<TestDns> {
  const socket = createSocket('udp4');
  let asked = 0;
  const dns: Omit<TestDns, 'server'> & { isSilent: boolean } = {
    a: new Map(),
    srv: new Map(),
    isSilent: false,
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      socket.close();
    },
  };
  socket.on('message', (packet, from) => {
    asked += 1;
    if (dns.isSilent) return;
    const { name, end } = nameAt(packet, 12);
    const type = packet.readUInt16BE(end);
    const answers =
      type === types.a
        ? (dns.a.get(name) ?? []).map((address) => record(type, Buffer.from(address.split('.').map(Number))))
        : type === types.srv
          ? (dns.srv.get(name) ?? []).map((each) => record(type, srvData(each)))
          : [];
    const head = Buffer.alloc(12);
    packet.copy(head, 0, 0, 2);
    // Of a name that there is not, NXDOMAIN.
    head.writeUInt16BE(0x8180 | (dns.a.has(name) || dns.srv.has(name) ? 0 : 3), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    socket.send(Buffer.concat([head, packet.subarray(12, end + 4), ...answers]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return Object.assign(dns, { server: `127.0.0.1:${socket.address().port}` });
}
