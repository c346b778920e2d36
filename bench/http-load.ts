// The load of the facade's benchmark: connections that are kept, one request at a time on each, over bare sockets. It says what was
// answered, how fast, and what it cost the process under load.
//   node bench/http-load.ts '{"port":…}'
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type Load = {
  readonly port: number;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Of the request. */
  readonly bodyBytes: number;
  readonly answerBytes: number;
  readonly connections: number;
  /** Requests per second, however slow the answers are; undefined for as many as can be. */
  readonly rate?: number | undefined;
  readonly warmUpMs: number;
  readonly ms: number;
  /** Its processor time is taken. */
  readonly pid: number;
};

export type Loaded = {
  readonly perSecond: number;
  /** Microseconds of processor time a request. */
  readonly cpuMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};

/** Milliseconds of processor time, by proc(5): fields 14 and 15 of stat, in hundredths of a second. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** No flag of the benchmark sends this client to the service. */
export const clientsId = 'A'.repeat(22);
export const clientsCookie = `sid=0123456789abcdef; banyan_id=${clientsId}`;

const read = Buffer.alloc(256 * 1024);
const headEnd = Buffer.from('\r\n\r\n');

class Runner {
  readonly #load: Load;
  readonly #request: Buffer;
  readonly #free: Client[] = [];
  /** When requests should have been sent that no connection was free for, by performance.now(). */
  readonly #due: number[] = [];
  readonly clients: Client[];
  latencies: number[] = [];
  answered = 0;

  constructor(load: Load) {
    this.#load = load;
    const { method, path, bodyBytes } = load;
    const length = bodyBytes > 0 ? `Content-Type: application/json\r\nContent-Length: ${bodyBytes}\r\n` : '';
    this.#request = Buffer.concat([
      Buffer.from(
        `${method} ${path} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench/1\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\nCookie: ${clientsCookie}\r\n${length}\r\n`,
      ),
      Buffer.alloc(bodyBytes, 'x'),
    ]);
    this.clients = Array.from({ length: load.connections }, () => new Client(this, load));
  }

  send(client: Client, at: number): void {
    client.sentAt = at;
    client.socket.write(this.#request);
  }

  /** @param client has its answer, or is new */
  next(client: Client): void {
    const now = performance.now();
    if (client.sentAt > 0) {
      this.answered += 1;
      this.latencies.push(now - client.sentAt);
    }
    if (this.#load.rate === undefined) this.send(client, now);
    else {
      const due = this.#due.shift();
      if (due === undefined) this.#free.push(client);
      else this.send(client, due);
    }
  }

  /** Each request at its time: a slow answer does not keep others from being asked for. */
  async paced(rate: number, ms: number): Promise<void> {
    const begin = performance.now();
    let sent = 0;
    while (performance.now() - begin < ms) {
      await delay(1);
      const now = performance.now();
      for (; sent < ((now - begin) * rate) / 1000; sent += 1) {
        const client = this.#free.pop();
        if (client) this.send(client, now);
        else this.#due.push(now);
      }
    }
  }
}

class Client {
  readonly socket: Socket;
  readonly #runner: Runner;
  readonly #answerBytes: number;
  sentAt = 0;
  #left = -1; // of the answer under way; -1: its head is to come

  constructor(runner: Runner, { port, answerBytes }: Load) {
    this.#runner = runner;
    this.#answerBytes = answerBytes;
    this.socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: read,
        callback: (bytes) => {
          this.#take(bytes);
          return true;
        },
      },
    });
    this.socket.once('connect', () => runner.next(this));
    this.socket.on('error', fail).on('close', () => fail(new Error('a connection was closed')));
  }

  #take(bytes: number): void {
    if (this.#left < 0) {
      // HTTP/1.1 200: the status ends with the only "200" that there can be at its place.
      const end = read.indexOf(headEnd);
      if (end < 0 || end > bytes || read[9] !== 50 || read[10] !== 48 || read[11] !== 48)
        fail(new Error(`this is no answer: ${read.toString('latin1', 0, Math.min(bytes, 300))}`));
      this.#left = end + headEnd.length + this.#answerBytes;
    }
    this.#left -= bytes;
    if (this.#left > 0) return;
    if (this.#left < 0) fail(new Error('an answer is longer than it should be'));
    this.#left = -1;
    this.#runner.next(this);
  }
}

let isOver = false;
function fail(error: Error): void {
  if (isOver) return;
  console.error(`http-load: ${error.message}`);
  process.exit(1);
}

const at = (sorted: readonly number[], share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;

async function run(load: Load): Promise<Loaded> {
  const runner = new Runner(load);
  const pass = (ms: number) =>
    load.rate === undefined ? new Promise((resolve) => setTimeout(resolve, ms)) : runner.paced(load.rate, ms);
  await pass(load.warmUpMs);
  runner.answered = 0;
  runner.latencies = [];
  const [begin, cpu] = [performance.now(), cpuMs(load.pid)];
  await pass(load.ms);
  const seconds = (performance.now() - begin) / 1000;
  const used = cpuMs(load.pid) - cpu;
  const { answered } = runner;
  const latencies = runner.latencies.sort((a, b) => a - b);
  isOver = true;
  for (const { socket } of runner.clients) socket.destroy();
  return {
    perSecond: answered / seconds,
    cpuMicros: (used * 1000) / answered,
    p50Ms: at(latencies, 0.5),
    p99Ms: at(latencies, 0.99),
  };
}

if (import.meta.main) {
  const load: Load = JSON.parse(process.argv[2] ?? '');
  console.log(JSON.stringify(await run(load)));
}
