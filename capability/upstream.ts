// Where an upstream is: one origin, several, or a place that is asked again and again which there are.

export type HealthCheck = {
  /** Asked of each instance; an answer of 2xx is well. */
  readonly path: string;
  /** Milliseconds; 2,000 when nothing is said. */
  readonly everyMs?: number;
  /** For the answer, in milliseconds; 1,000. */
  readonly msMax?: number;
  /** So many answers in a row that are well bring it back; 2. */
  readonly healthyAfter?: number;
  /** So many in a row that are not leave it out; 3. */
  readonly unhealthyAfter?: number;
};

export type Place =
  | { readonly origins: readonly string[] }
  /** JSON: ["http://10.0.0.1:8083", …]. Read again when it changes. */
  | { readonly file: string }
  /** A records, all at one port. */
  | { readonly dns: string; readonly port: number; readonly tls?: boolean }
  /** SRV records: those of the lowest priority; weights are not looked at. */
  | { readonly srv: string; readonly tls?: boolean };

export type UpstreamDeclaration =
  | string
  | readonly string[]
  | (Place & {
      /** How often DNS is asked, or the file looked at besides, in milliseconds; 5,000. */
      readonly everyMs?: number;
      readonly health?: HealthCheck;
      /** Requests under way at all instances together, where the facade's --upstream-in-flight-max is too much. */
      readonly inFlightMax?: number;
    });

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isCount = (value: unknown, min: number) =>
  value === undefined || (Number.isSafeInteger(value) && Number(value) >= min);

/** Why this is no origin; undefined: it is one. */
export function originFault(value: unknown): string | undefined {
  if (!isText(value) || !URL.canParse(value)) return 'is not a URL';
  const { protocol, pathname, search, username } = new URL(value);
  if (protocol !== 'http:' && protocol !== 'https:') return 'is neither http: nor https:';
  return pathname !== '/' || search !== '' || username !== ''
    ? 'has more than scheme, host and port'
    : undefined;
}

/** Of a list, from the configuration or a file: every entry an origin, none twice, at least one. */
export function originsFault(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length === 0) return 'names no origin';
  for (const each of value) {
    const fault = originFault(each);
    if (fault !== undefined) return `has ${JSON.stringify(each)}, which ${fault}`;
  }
  const origins = new Set(value.map((each) => new URL(String(each)).origin));
  return origins.size < value.length ? 'names an origin twice' : undefined;
}

function healthFaults(health: unknown): string[] {
  if (health === undefined) return [];
  if (!isObject(health)) return ['.health is no object'];
  const faults: string[] = [];
  if (!isText(health.path) || !health.path.startsWith('/')) faults.push('.health has no path to ask');
  for (const name of ['everyMs', 'msMax', 'healthyAfter', 'unhealthyAfter'])
    if (!isCount(health[name], 1)) faults.push(`.health.${name} is not a whole number above 0`);
  return faults;
}

function placeFaults(place: Record<string, unknown>): string[] {
  const named = ['origins', 'file', 'dns', 'srv'].filter((name) => place[name] !== undefined);
  if (named.length !== 1) return [' says one of origins, file, dns or srv'];
  if (place.origins !== undefined) {
    const fault = originsFault(place.origins);
    return fault === undefined ? [] : [`.origins ${fault}`];
  }
  const faults: string[] = [];
  for (const name of named) if (!isText(place[name])) faults.push(`.${name} is not a text`);
  const { port, tls } = place;
  if (place.dns !== undefined && !(isCount(port, 1) && Number(port) <= 65_535))
    faults.push('.port is not a port');
  if (tls !== undefined && typeof tls !== 'boolean') faults.push('.tls is true or false');
  return faults;
}

/** Every fault of one upstream of a configuration, each to be said after its name. */
export function upstreamFaults(value: unknown): string[] {
  if (Array.isArray(value)) {
    const fault = originsFault(value);
    return fault === undefined ? [] : [` ${fault}`];
  }
  if (!isObject(value)) {
    const fault = originFault(value);
    return fault === undefined ? [] : [` ${fault}`];
  }
  const faults = [...placeFaults(value), ...healthFaults(value.health)];
  if (!isCount(value.everyMs, 100)) faults.push('.everyMs is not a whole number of at least 100');
  if (!isCount(value.inFlightMax, 1)) faults.push('.inFlightMax is not a whole number above 0');
  return faults;
}
