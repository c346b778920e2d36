// The least that can stand between clients that node:http parses and connections that are kept: it looks at nothing, and guards against
// nothing. What the facade's benchmark takes for the floor of any proxy of this kind.
//   node bench/facade-least.ts UPSTREAM
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';

const port = Number(new URL(process.argv[2] ?? '').port);
const free: Connection[] = [];

class Connection {
  readonly #read = Buffer.allocUnsafe(64 * 1024);
  readonly socket: Socket;
  response: ServerResponse | undefined;

  constructor() {
    const onread = { buffer: this.#read, callback: (bytes: number) => this.#answer(bytes) };
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true, onread });
  }

  /** The benchmark's upstream answers in one piece. */
  #answer(bytes: number): boolean {
    const end = this.#read.indexOf('\r\n\r\n');
    const headers = this.#read
      .toString('latin1', 0, end)
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(': ', 2))
      .filter(([name]) => name !== 'Connection')
      .flat();
    const { response } = this;
    free.push(this);
    response?.writeHead(200, headers).end(this.#read.toString('latin1', end + 4, bytes), 'latin1');
    return true;
  }
}

const server = createServer(({ method, url, rawHeaders }, response) => {
  const connection = free.pop() ?? new Connection();
  connection.response = response;
  let head = `${method} ${url} HTTP/1.1\r\n`;
  for (let at = 0; at < rawHeaders.length; at += 2) head += `${rawHeaders[at]}: ${rawHeaders[at + 1]}\r\n`;
  connection.socket.write(`${head}\r\n`, 'latin1');
}).listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  console.log(JSON.stringify({ listening: `http://127.0.0.1:${address.port}` }));
});
process.once('SIGTERM', () => process.exit());
