// The fields of a review, each said once: rows and HTTP payloads use the same codecs.
import {
  codeTable,
  euckrText,
  fixedWidthCode,
  legacyTimestamp,
  localDatetime,
  renamed,
  uint8,
  uint32,
  yesNoFlag,
  zeroDate,
} from '../codecs.ts';
import { ascii, euckr } from '../repertoire.ts';

const seoul = 'Asia/Seoul';

export const capability = 'reviews';

export const id = renamed(uint32);
export const count = renamed(uint32);
export const photoPosition = renamed(uint8);
/** Half stars, as legacy's two digits. */
export const rating = fixedWidthCode({ width: 2, min: 1, max: 10 });
export const body = euckrText({ lengthMax: 2000 });
export const memberId = renamed({ kind: 'text', lengthMax: 20, repertoire: euckr });
export const memberName = euckrText({ lengthMax: 50 });
export const productTitle = euckrText({ lengthMax: 200 });
export const channel = codeTable({ '01': 'desktop', '02': 'mobile', '03': 'app' }, 'channel code');
export const visibility = yesNoFlag('visible', 'hidden');
export const deleted = yesNoFlag(1, 0);
export const hasLeft = yesNoFlag(1, 0);
export const createdAt = legacyTimestamp(seoul);
export const updatedAt = zeroDate(localDatetime(seoul));
export const photoName = { lengthMax: 100, repertoire: ascii };
export const photosMax = 5;
