// The table keeps Seoul's wall clock as 14 digits. Korea has kept UTC+9 without summer time since 1988, and the
// shop is younger.
const offsetMs = 9 * 3_600_000;

/** An instant as YYYYMMDDHHMMSS in Seoul. */
export const toStamp = (at: Date): string =>
  new Date(at.getTime() + offsetMs).toISOString().slice(0, 19).replace(/\D/g, '');

/** YYYYMMDDHHMMSS in Seoul as an ISO 8601 instant in UTC, whole seconds; null for what is no time. */
export function toInstant(stamp: string): string | null {
  const digits = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(stamp);
  if (digits === null) return null;
  const [, year, month, day, hour, minute, second] = digits;
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}+09:00`);
  // The 30th of February parses, as the 2nd of March.
  if (Number.isNaN(at.getTime()) || toStamp(at) !== stamp) return null;
  return `${at.toISOString().slice(0, 19)}Z`;
}
