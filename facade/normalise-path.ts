// One spelling of a path: what is matched, authorised and forwarded is the same string, so that no client can
// have one path judged and another one served.

export type Target = {
  /** The normalised path, beginning with one slash. */
  readonly path: string;
  /** As the client sent it, with its question mark; empty when there is none. */
  readonly query: string;
  /** The host of an absolute-form target: it must agree with the Host header. */
  readonly authority?: string;
};

export type TargetFault = 'form' | 'encoding' | 'character' | 'length';

export type Normalised = { readonly target: Target } | { readonly fault: TargetFault };

const unreserved = /[A-Za-z0-9\-._~]/;
/** Encoded slashes, backslashes and NUL split paths differently from one server to the next. */
const forbiddenOctets = new Set(['00', '2F', '5C']);
/** Printable ASCII that may not stand in a path as it is (RFC 3986, pchar), but that browsers do send. */
const toBeEncoded = /["<>^`{|}[\]]/g;
const plain = /^(?:\/[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*)*\/?$/;

const encode = (character: string) =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

/** RFC 3986, 5.2.4, on a path without empty segments in its middle. */
function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1;
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
    if (last && (segment === '.' || segment === '..')) kept.push('');
  });
  return `/${kept.join('/')}`;
}

function normalisePath(path: string): string | TargetFault {
  if (plain.test(path)) return path;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  if (/[\u0000-\u0020\u007f-\uffff\\#]/.test(path)) return 'character';
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return 'encoding';
  let forbidden = false;
  const decoded = path.replace(/%[0-9A-Fa-f]{2}/g, (octet) => {
    const hex = octet.slice(1).toUpperCase();
    if (forbiddenOctets.has(hex)) forbidden = true;
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return unreserved.test(character) ? character : `%${hex}`;
  });
  if (forbidden) return 'encoding';
  const one = removeDotSegments(decoded.replace(toBeEncoded, encode).replace(/\/{2,}/g, '/'));
  // Servlet containers drop ";…" from a segment, and would then see a dot segment.
  return /\/\.{1,2};/.test(one) ? 'encoding' : one;
}

/**
 * Reads the target of a request line.
 * @param raw as Node gives it in `url`: bytes as latin1
 * @param pathBytesMax longest path, the query not counted
 */
export function normaliseTarget(raw: string, pathBytesMax: number): Normalised {
  let rest = raw;
  let authority: string | undefined;
  if (!raw.startsWith('/')) {
    const absolute = /^https?:\/\/([^/?#@]+)((?:[/?].*)?)$/i.exec(raw);
    if (!absolute) return { fault: 'form' };
    authority = absolute[1];
    const tail = absolute[2] ?? '';
    rest = tail.startsWith('/') ? tail : `/${tail}`;
  }
  const mark = rest.indexOf('?');
  const query = mark < 0 ? '' : rest.slice(mark);
  const path = mark < 0 ? rest : rest.slice(0, mark);
  if (path.length > pathBytesMax) return { fault: 'length' };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  if (/[\u0000-\u0020\u007f-\uffff#]/.test(query)) return { fault: 'character' };
  const normal = normalisePath(path);
  if (!normal.startsWith('/')) return { fault: normal as TargetFault };
  return { target: authority === undefined ? { path: normal, query } : { path: normal, query, authority } };
}
