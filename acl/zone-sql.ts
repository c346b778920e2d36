// A zone's wall clock as SQL, from the same tz database as the code's (zone.ts): servers need no zone tables of
// their own, which may be missing, or older.
import { compact, datetime } from './domain.ts';
import { isRealDay, isTextType, lengthAndText, type SqlColumn, type SqlForm, sqlText } from './sql-form.ts';
import { zoneOf } from './zone.ts';

const daySeconds = 86_400;
/** Local times before and after are the code's to judge: further on the rules are only today's. */
const from = Date.UTC(1970, 0, 2) / 1000;
const to = Date.UTC(2050, 0, 1) / 1000;

/** When a zone's clocks change: Unix seconds, and the offsets before and after. */
type Shift = { readonly at: number; readonly before: number; readonly after: number };

const known = new Map<string, readonly Shift[]>();

/** No clocks have changed twice within a week since 1970; if ones did, their rows would be compared by the code. */
function shiftsOf(name: string): readonly Shift[] {
  const found = known.get(name);
  if (found) return found;
  const zone = zoneOf(name);
  const offset = (at: number) => zone.toLocal(at) - at;
  const shifts: Shift[] = [];
  const weekSeconds = 7 * daySeconds;
  for (let at = from - weekSeconds; at < to; at += weekSeconds) {
    let [low, high] = [at, at + weekSeconds];
    const [before, after] = [offset(low), offset(high)];
    if (before === after) continue;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offset(middle) === before) low = middle;
      else high = middle;
    }
    shifts.push({ at: high, before, after });
  }
  known.set(name, shifts);
  return shifts;
}

/** Local times from `since` on have this offset; undefined: there are no such times. */
type Piece = { readonly since: number; readonly offset: number | undefined };

/** By local time: a gap where clocks are put forward; where they are put back the first of two times counts. */
function piecesOf(name: string): Piece[] {
  const shifts = shiftsOf(name);
  const pieces: Piece[] = [
    { since: Number.NEGATIVE_INFINITY, offset: shifts[0]?.before ?? zoneOf(name).toLocal(from) - from },
  ];
  for (const { at, before, after } of shifts) {
    if (after > before) pieces.push({ since: at + before, offset: undefined });
    pieces.push({ since: at + Math.max(before, after), offset: after });
  }
  return pieces;
}

/** The offset of a local time, by halving. */
function offsetOf(local: string, pieces: readonly Piece[], write: (seconds: number) => string): string {
  const [first] = pieces;
  if (pieces.length <= 1) return first?.offset === undefined ? 'NULL' : String(first.offset);
  const half = Math.ceil(pieces.length / 2);
  const [lower, upper] = [pieces.slice(0, half), pieces.slice(half)];
  return `IF(${local} < ${write(upper[0]?.since ?? 0)}, ${offsetOf(local, lower, write)}, ${offsetOf(local, upper, write)})`;
}

/** Most rows are of the time since the clocks were last changed, where they no longer are. */
function offsetSince(local: string, zone: string, write: (seconds: number) => string): string {
  const pieces = piecesOf(zone);
  const last = pieces.at(-1);
  if (pieces.length < 2 || last?.offset === undefined) return offsetOf(local, pieces, write);
  return `IF(${local} >= ${write(last.since)}, ${last.offset}, ${offsetOf(local, pieces.slice(0, -1), write)})`;
}

/**
 * A month 00 comes to nothing by itself: there is no moment before or after it.
 * @param isReal that what is to be a time is one, and in which digits
 */
function utcForm(
  local: string,
  moment: string,
  zone: string,
  write: (seconds: number) => string,
  isReal: string,
): SqlForm {
  const range = `${local} BETWEEN ${write(from)} AND ${write(to)}`;
  const value = `IF(${range} AND ${isReal}, ${moment} - INTERVAL ${offsetSince(local, zone, write)} SECOND, NULL)`;
  return { value, withLength: lengthAndText("'19'", value) };
}

/** CHAR(14): as a number it has fourteen digits only when all of it is digits. */
export function compactForm(column: SqlColumn, zone: string): SqlForm | undefined {
  if (!isTextType(column.type)) return undefined;
  const { name } = column;
  return utcForm(
    `CAST(${name} AS UNSIGNED)`,
    `CAST(${name} AS DATETIME)`,
    zone,
    compact.write,
    `CHAR_LENGTH(${name}) = 14 AND ${isRealDay(`CAST(${name} AS DATETIME)`, `SUBSTRING(${name}, 7, 2)`)}`,
  );
}

export function datetimeForm(column: SqlColumn, zone: string): SqlForm | undefined {
  if (!/^(datetime|timestamp)$/i.test(column.type)) return undefined;
  const { name } = column;
  return utcForm(name, name, zone, (seconds) => sqlText(datetime.write(seconds)), isRealDay(name));
}
