// The upstream of the facade's benchmark, as cheap as it can be: whole answers made beforehand, by the end of the path (…/1k).
import { createServer, type Socket } from 'node:net';

const kib = 1024;
const sizes = { '1k': kib, '100k': 100 * kib, '10m': 10 * kib * kib };

const answer = (bytes: number) =>
  Buffer.concat([
    Buffer.from(
      `HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json; charset=utf-8\r\nCache-Control: no-cache\r\nETag: W/"0123456789abcdef"\r\nConnection: keep-alive\r\nContent-Length: ${bytes}\r\n\r\n`,
    ),
    Buffer.alloc(bytes, 'x'),
  ]);
const answers = new Map(Object.entries(sizes).map(([name, bytes]) => [name, answer(bytes)]));

/** Of a head: what is asked for, and how long the body is that follows. */
function read(head: string): { name: string; bodyBytes: number } {
  const path = head.slice(0, head.indexOf(' HTTP/1.1'));
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  return { name: path.slice(path.lastIndexOf('/') + 1), bodyBytes: Number(length ?? 0) };
}

function serve(socket: Socket): void {
  let head = '';
  let left = -1; // of a body; -1: in a head
  let reply = answers.get('1k');
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    if (left < 0) {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const { name, bodyBytes } = read(head.slice(0, end));
      reply = answers.get(name);
      left = bodyBytes - (head.length - end - 4);
      head = '';
    } else left -= chunk.length;
    if (left > 0) return;
    left = -1;
    if (reply) socket.write(reply);
    else socket.destroy();
  });
}

const server = createServer(serve).listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  console.log(JSON.stringify({ listening: `http://127.0.0.1:${address.port}` }));
});
process.once('SIGTERM', () => process.exit());
