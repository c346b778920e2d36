// The facade beside nginx and @fastify/http-proxy before the same upstream: processor time, throughput, latency and memory.
import { type FacadeStage, idleMib, load, onFacadeStage, type Target } from './facade-stage.ts';
import type { Loaded } from './http-load.ts';
import { inRounds, type Measured, median, within } from './measure.ts';

const kib = 1024;
/** Of the last capability, and of the last route of each kind: the longest way through the table. */
const paths = { one: '/c0/r0', get: '/c19/r8', post: '/c19/r9' };
const rounds = 5;
const connections = 50;

const get = (size: '1k' | '100k' | '10m', answerBytes: number) =>
  ({ method: 'GET', size, bodyBytes: 0, answerBytes }) as const;
const post = (bodyBytes: number) => ({ method: 'POST', size: '1k', bodyBytes, answerBytes: kib }) as const;
const kinds = {
  '1 KB GET': get('1k', kib),
  '1 KB POST': post(kib),
  '100 KB GET': get('100k', 100 * kib),
  '10 MB GET': get('10m', 10 * kib * kib),
  '1 MB POST': post(kib * kib),
};
type Kind = keyof typeof kinds;

type Slots = Map<Target, Loaded[]>;

/** Every target once a round, in turn, every other round backwards. */
async function slots(kind: Kind, targets: readonly Target[], ms: number, rate?: number): Promise<Slots> {
  const { method, size, bodyBytes, answerBytes } = kinds[kind];
  const found: Slots = new Map(targets.map((target) => [target, []]));
  for (let round = 0; round < rounds; round++) {
    console.error(`${kind}${rate === undefined ? '' : ' at half load'}: round ${round + 1} of ${rounds}`);
    for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
      const path = target.name === 'one' ? paths.one : method === 'GET' ? paths.get : paths.post;
      const loaded = await load(target, {
        method,
        path: `${path}/${size}`,
        bodyBytes,
        answerBytes,
        connections: answerBytes + bodyBytes > kib * kib ? 8 : connections,
        rate,
        warmUpMs: ms / 4,
        ms,
      });
      found.get(target)?.push(loaded);
    }
  }
  return found;
}

const of = (found: Slots, target: Target | undefined, what: (loaded: Loaded) => number): number[] =>
  (target ? (found.get(target) ?? []) : []).map(what);
const perSecond = ({ perSecond }: Loaded) => perSecond;
const cpuMicros = ({ cpuMicros }: Loaded) => cpuMicros;

const rates = (found: Slots, ours: Target, peer: Target) => {
  const peers = of(found, peer, perSecond);
  return of(found, ours, perSecond).map((rate, round) => ({ ours: rate, peer: peers[round] }));
};

/** A multiple of another's processor time, round by round; lower is better. */
function multiple(
  what: string,
  found: Slots,
  ours: Target,
  peer: Target | undefined,
  limit: number,
  aim: number,
): Measured {
  const peers = of(found, peer, cpuMicros);
  const mine = of(found, ours, cpuMicros);
  const ratio = median(mine.map((micros, round) => micros / (peers[round] ?? Number.NaN)));
  const note = `${median(mine).toFixed(1)} us a request against ${median(peers).toFixed(1)}`;
  return within(what, ratio, limit, aim, 'x', note);
}

async function smallGets(stage: FacadeStage, ms: number): Promise<Measured[]> {
  const { direct, nginx, httpProxy, least, bare, one, full } = stage;
  const proxies = [...(nginx ? [nginx] : []), httpProxy, least, bare, one, full];
  const found = await slots('1 KB GET', [direct, ...proxies], ms);
  const micros = (target: Target) => median(of(found, target, cpuMicros));
  const all = proxies
    .map((each) => {
      const rate = median(of(found, each, perSecond)).toFixed(0);
      return `${each.name} ${micros(each).toFixed(1)} us, ${rate}/s`;
    })
    .join('; ');
  const floor = median(rates(found, least, httpProxy).map(({ ours, peer = Number.NaN }) => ours / peer));
  const half = median(of(found, full, perSecond)) / 2;
  const paced = await slots('1 KB GET', [direct, ...(nginx ? [nginx] : []), least, full], ms, half);
  const p99 = (target: Target | undefined) => median(of(paced, target, ({ p99Ms }) => p99Ms));
  const p99All = (target: Target | undefined) => median(of(paced, target, ({ p99AllMs }) => p99AllMs));
  const p50 = (target: Target | undefined) => median(of(paced, target, ({ p50Ms }) => p50Ms));
  const added = median(
    of(paced, full, ({ p99Ms }) => p99Ms).map(
      (ours, round) => ours - (of(paced, direct, ({ p99Ms }) => p99Ms)[round] ?? Number.NaN),
    ),
  );
  const latencies = [direct, nginx, least, full]
    .filter((each) => each !== undefined)
    .map(
      (each) =>
        `${each.name} p50 ${p50(each).toFixed(2)}, p99 ${p99(each).toFixed(2)} (${p99All(each).toFixed(2)} with every standstill of the machine)`,
    );
  return [
    inRounds(
      '1 KB GET, everything on, against @fastify/http-proxy',
      rates(found, full, httpProxy),
      2.5,
      5,
      `requests/s; the floor, a relay over node:http that looks at nothing, ${floor.toFixed(2)}x; ${all}; direct ${median(of(found, direct, perSecond)).toFixed(0)}/s`,
    ),
    multiple('processor time of a 1 KB GET, everything on, against nginx', found, full, nginx, 4, 3),
    within(
      'everything on over bare, 1 KB GET',
      median(of(found, full, cpuMicros).map((us, round) => us - (of(found, bare, cpuMicros)[round] ?? 0))),
      5,
      5,
      'us',
    ),
    multiple('200 routes and 20 capabilities against 1 and 1', found, full, one, 1.1, 1),
    within(
      'p99 added at half load',
      added,
      2,
      0.5,
      'ms',
      `${half.toFixed(0)} requests/s; ${latencies.join('; ')}`,
    ),
  ];
}

/** The aim is nginx. */
async function large({ nginx, httpProxy, full }: FacadeStage, kind: Kind, atLeast: number, ms: number) {
  const found = await slots(kind, [...(nginx ? [nginx] : []), httpProxy, full], ms);
  const rate = (target: Target | undefined) => median(of(found, target, perSecond));
  const aim = Number((rate(nginx) / rate(httpProxy)).toPrecision(3));
  const note = [nginx, httpProxy, full]
    .filter((each) => each !== undefined)
    .map(
      (each) =>
        `${each.name} ${median(of(found, each, cpuMicros)).toFixed(0)} us, ${rate(each).toFixed(0)}/s`,
    );
  const what = `${kind}, everything on, against @fastify/http-proxy`;
  const seen = rates(found, full, httpProxy);
  return inRounds(what, seen, atLeast, aim, `requests/s; the aim is nginx; ${note.join('; ')}`);
}

async function idle({ nginx, full }: FacadeStage): Promise<Measured> {
  const many = 5_000;
  const ours = await idleMib(full, many, `${paths.get}/1k`);
  const peer = nginx ? await idleMib(nginx, many, `${paths.get}/1k`) : Number.NaN;
  return within(`memory with ${many} idle connections`, ours, 256, 150, 'MiB', `nginx ${peer.toFixed(0)}`);
}

/** @param size share of slots of 4 seconds, five of each, after 10 seconds of warming up */
export const benchFacade = (size: number): Promise<Measured[]> =>
  onFacadeStage(async (stage) => {
    const ms = Math.max(200, 4_000 * size);
    for (const target of Object.values(stage).filter((each) => each !== undefined))
      await load(target, {
        ...kinds['1 KB GET'],
        path: `${target.name === 'one' ? paths.one : paths.get}/1k`,
        connections,
        warmUpMs: 0,
        ms: 10_000 * size,
      });
    return [
      ...(await smallGets(stage, ms)),
      await large(stage, '1 KB POST', 1, ms),
      await large(stage, '100 KB GET', 1, ms),
      await large(stage, '10 MB GET', 2, ms),
      await large(stage, '1 MB POST', 1, ms),
      await idle(stage),
    ];
  });
