// The load of the facade's benchmark: connections that are kept, one request at a time on each, over bare sockets. It says what was
// answered, how fast, and what it cost the process under load.
//   node bench/http-load.ts '{"port":…}'
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

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
  /** Of each quarter of a second; the median of them, for what stands still with all of its machine now and then is not slow. */
  readonly p99Ms: number;
  /** Of all. */
  readonly p99AllMs: number;
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

/** As Chromium sends them with a fetch(). */
const browsersHeaders = [
  'Host: shop.example',
  'Connection: keep-alive',
  'sec-ch-ua-platform: "Windows"',
  'User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="99"',
  'sec-ch-ua-mobile: ?0',
  'Accept: application/json',
  'Sec-Fetch-Site: same-origin',
  'Sec-Fetch-Mode: cors',
  'Sec-Fetch-Dest: empty',
  'Referer: https://shop.example/products/1024',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7',
  '',
].join('\r\n');

const read = Buffer.alloc(256 * 1024);
const headEnd = Buffer.from('\r\n\r\n');
const nothing = new Int32Array(new SharedArrayBuffer(4));
const stepMs = 0.1;
const heldUpMs = 1;
const windowMs = 250;

const at = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;

class Runner {
  readonly #load: Load;
  readonly #request: Buffer;
  readonly #free: Client[] = [];
  /** When requests should have been sent that no connection was free for, by performance.now(). */
  readonly #due: number[] = [];
  readonly clients: Client[];
  /** By performance.now() */
  #begin = 0;
  /** One for each quarter of a second. */
  #latencies: number[][] = [];
  answered = 0;

  constructor(load: Load) {
    this.#load = load;
    const { method, path, bodyBytes } = load;
    const length = bodyBytes > 0 ? `Content-Type: application/json\r\nContent-Length: ${bodyBytes}\r\n` : '';
    this.#request = Buffer.concat([
      Buffer.from(
        `${method} ${path} HTTP/1.1\r\n${browsersHeaders}Cookie: ${clientsCookie}\r\n${length}\r\n`,
      ),
      Buffer.alloc(bodyBytes, 'x'),
    ]);
    this.clients = Array.from({ length: load.connections }, () => new Client(this, load));
  }

  /** What was before does not count. */
  begin(): number {
    this.#begin = performance.now();
    this.#latencies = [];
    this.answered = 0;
    return this.#begin;
  }

  latencies(): Pick<Loaded, 'p50Ms' | 'p99Ms' | 'p99AllMs'> {
    const all = this.#latencies.flat();
    // The last is what is left over, unless it is the only one.
    const whole = this.#latencies.slice(0, Math.max(1, this.#latencies.length - 1));
    const windows = whole.filter((each) => each !== undefined);
    return {
      p50Ms: at(all, 0.5),
      p99Ms: at(
        windows.map((each) => at(each, 0.99)),
        0.5,
      ),
      p99AllMs: at(all, 0.99),
    };
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
      const window = Math.floor((now - this.#begin) / windowMs);
      this.#latencies[window] ??= [];
      this.#latencies[window].push(now - client.sentAt);
    }
    if (this.#load.rate === undefined) this.send(client, now);
    else {
      const due = this.#due.shift();
      if (due === undefined) this.#free.push(client);
      else this.send(client, due);
    }
  }

  /**
   * Each request at its time: a slow answer does not keep others from being asked for. Timers of Node come round in steps of a
   * millisecond, and would send dozens at once. What this process itself could not send, because the machine held it up, is left
   * out and not made up for all at once: a proxy's clients are many, and do not stand still together.
   */
  async paced(rate: number, ms: number): Promise<void> {
    const end = performance.now() + ms;
    let last = performance.now();
    let due = 0;
    while (last < end) {
      Atomics.wait(nothing, 0, 0, stepMs); // the core is the upstream's meanwhile
      await turn();
      const now = performance.now();
      due += (Math.min(now - last, heldUpMs) * rate) / 1000;
      last = now;
      for (; due >= 1; due -= 1) {
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

async function run(load: Load): Promise<Loaded> {
  const runner = new Runner(load);
  const pass = (ms: number) =>
    load.rate === undefined ? new Promise((resolve) => setTimeout(resolve, ms)) : runner.paced(load.rate, ms);
  await pass(load.warmUpMs);
  const [begin, cpu] = [runner.begin(), cpuMs(load.pid)];
  await pass(load.ms);
  const seconds = (performance.now() - begin) / 1000;
  const used = cpuMs(load.pid) - cpu;
  const { answered } = runner;
  isOver = true;
  for (const { socket } of runner.clients) socket.destroy();
  return {
    perSecond: answered / seconds,
    cpuMicros: (used * 1000) / answered,
    ...runner.latencies(),
  };
}

if (import.meta.main) {
  const load: Load = JSON.parse(process.argv[2] ?? '');
  console.log(JSON.stringify(await run(load)));
}
