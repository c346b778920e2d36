// Wall clocks of a time zone, from the tz database that Node carries. Seconds are Unix seconds; a local time
// is written as if it were UTC.

export type Zone = {
  toLocal(utcSeconds: number): number;
  /** @returns undefined for a local time that the clocks skipped; the first of two for one they repeated */
  toUtc(localSeconds: number): number | undefined;
};

const daySeconds = 86_400;
/** Days remembered per zone: 8192 days are 22 years, some 100 KiB. */
const daysMax = 8_192;

/** @throws RangeError for a zone that does not exist */
export function zoneOf(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const compute = (utcSeconds: number): number => {
    const parts = Object.fromEntries(
      format.formatToParts(utcSeconds * 1000).map(({ type, value }) => [type, Number(value)]),
    );
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - utcSeconds;
  };
  // Intl costs microseconds a call, and offsets change on few days: one look at each end of a day decides.
  const constantOn = new Map<number, number | undefined>();
  const offset = (utcSeconds: number): number => {
    const day = Math.floor(utcSeconds / daySeconds);
    let known = constantOn.get(day);
    if (known === undefined && !constantOn.has(day)) {
      const start = compute(day * daySeconds);
      known = start === compute((day + 1) * daySeconds) ? start : undefined;
      if (constantOn.size >= daysMax) constantOn.clear();
      constantOn.set(day, known);
    }
    return known ?? compute(utcSeconds);
  };
  // By local day: the offset of all of it, when clocks do not change on it nor on a day beside it.
  const constantOnLocal = new Map<number, number | undefined>();
  const quietOffset = (localDay: number): number | undefined => {
    const of = (day: number) => {
      offset(day * daySeconds);
      return constantOn.get(day);
    };
    const [before, on, after] = [of(localDay - 1), of(localDay), of(localDay + 1)];
    const quiet = before === on && on === after ? on : undefined;
    if (constantOnLocal.size >= daysMax) constantOnLocal.clear();
    constantOnLocal.set(localDay, quiet);
    return quiet;
  };
  return {
    toLocal: (utcSeconds) => utcSeconds + offset(utcSeconds),
    toUtc(localSeconds) {
      const localDay = Math.floor(localSeconds / daySeconds);
      const quiet = constantOnLocal.get(localDay) ?? quietOffset(localDay);
      if (quiet !== undefined) return localSeconds - quiet;
      // The offsets in force a day before and after bracket any change; the larger gives the earlier instant.
      const offsets = [
        offset(localSeconds - daySeconds),
        offset(localSeconds),
        offset(localSeconds + daySeconds),
      ];
      for (const candidate of offsets.sort((a, b) => b - a)) {
        const utcSeconds = localSeconds - candidate;
        if (offset(utcSeconds) === candidate) return utcSeconds;
      }
      return undefined;
    },
  };
}
