// The shop's wall clock is Seoul's. Korea has kept UTC+9 without summer time since 1988, and the shop is younger.

/** YYYY-MM-DD HH:MM:SS in Seoul: the DATETIME columns. */
export const seoulDateTime = (at: Date = new Date()): string =>
  new Date(at.getTime() + 9 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');

/** YYYYMMDDHHMMSS in Seoul: the CHAR(14) columns. */
export const seoulStamp = (at: Date = new Date()): string => seoulDateTime(at).replace(/\D/g, '');

/** YYYY-MM-DD in Seoul: the DATE columns. */
export const seoulDate = (at: Date = new Date()): string => seoulDateTime(at).slice(0, 10);

/** A DATE or DATETIME column as the API shows it: its digits, and '' for the zero date, which means "never". */
export const stampOf = (column: string): string =>
  column.startsWith('0000') ? '' : column.replace(/\D/g, '');
