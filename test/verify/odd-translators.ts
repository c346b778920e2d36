// Translators that no sum can compare, or whose keys have another order on the other side: what the verification
// must look at row by row.
import {
  type Codec,
  codeTable,
  euckrText,
  fixedWidthCode,
  legacyTimestamp,
  renamed,
  trimmedChar,
  uint32,
  yesNoFlag,
} from '../../acl/codecs.ts';
import { euckr, utf8mb4 } from '../../acl/repertoire.ts';
import { rowTranslator } from '../../acl/translator.ts';

const capability = 'odd';
const text = (lengthMax: number) => renamed({ kind: 'text', lengthMax, repertoire: utf8mb4 });

/** Breaks the law: what it makes small does not become large again. */
const lossy: Codec = {
  ...text(10),
  name: 'lossy',
  forward: (value) => String(value).toLowerCase(),
};

/** A key that is a code on one side, and in another order on the other; a column without an SQL form. */
const grade = rowTranslator({
  capability,
  source: { table: 'TB_GRADE', key: ['GRD_CD', 'SEQ'], preserved: ['MEMO'] },
  targets: [
    {
      table: 'grade',
      key: ['id', 'seq'],
      root: true,
      columns: {
        id: { from: 'GRD_CD', codec: codeTable({ A1: 30, B1: 20, C1: 10 }) },
        seq: { from: 'SEQ', codec: renamed(uint32) },
        label: { from: 'GRD_NM', codec: trimmedChar({ width: 6, repertoire: euckr }) },
        note: { from: 'NOTE', codec: lossy },
      },
    },
  ],
});

/** A key whose texts are told apart by case on one side only; two legacy tables in one, by a constant. */
const tag = (table: string, kind: string) =>
  rowTranslator({
    capability,
    source: { table, key: ['TAG'], preserved: [] },
    targets: [
      {
        table: 'tag',
        key: ['tag'],
        root: true,
        columns: {
          tag: { from: 'TAG', codec: text(20) },
          used: { from: 'USE_YN', codec: yesNoFlag(1, 0) },
        },
        constants: { kind },
      },
    ],
  });

/** One legacy table in two: a row, and a group of columns of a row of its own. */
const item = rowTranslator({
  capability,
  source: { table: 'TB_ITEM', key: ['ITEM_NO'], preserved: [] },
  targets: [
    {
      table: 'item',
      key: ['id'],
      root: true,
      columns: {
        id: { from: 'ITEM_NO', codec: renamed(uint32) },
        name: { from: 'ITEM_NM', codec: euckrText({ lengthMax: 40 }) },
      },
    },
    {
      table: 'item_stock',
      key: ['item_id'],
      root: true,
      columns: {
        item_id: { from: 'ITEM_NO', codec: renamed(uint32) },
        size: { from: 'SIZE_CD', codec: fixedWidthCode({ width: 2, min: 1, max: 20 }) },
        counted_at: { from: 'CNT_DTM', codec: legacyTimestamp('America/New_York') },
      },
    },
  ],
});

export const translators = [grade, tag('TB_TAG', 'tag'), item];

export const legacyDdl = `
CREATE TABLE TB_GRADE (GRD_CD CHAR(2) NOT NULL, SEQ INT UNSIGNED NOT NULL, GRD_NM VARCHAR(6) NOT NULL, NOTE VARCHAR(10) NOT NULL DEFAULT '', MEMO VARCHAR(20) NOT NULL DEFAULT 'memo', PRIMARY KEY (GRD_CD, SEQ)) CHARACTER SET euckr;
CREATE TABLE TB_TAG (TAG VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL PRIMARY KEY, USE_YN CHAR(1) NOT NULL) CHARACTER SET euckr;
CREATE TABLE TB_ITEM (ITEM_NO INT UNSIGNED NOT NULL PRIMARY KEY, ITEM_NM VARCHAR(40) NOT NULL DEFAULT '', SIZE_CD CHAR(2) NOT NULL DEFAULT '01', CNT_DTM CHAR(14) NOT NULL DEFAULT '20200101000000') CHARACTER SET euckr;
`;

export const serviceDdl = `
CREATE TABLE grade (id TINYINT UNSIGNED NOT NULL, seq INT UNSIGNED NOT NULL, label VARCHAR(6) NOT NULL, note VARCHAR(10) NOT NULL DEFAULT '', PRIMARY KEY (id, seq)) CHARACTER SET utf8mb4;
CREATE TABLE tag (tag VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, used BOOLEAN NOT NULL, kind VARCHAR(10) NOT NULL) CHARACTER SET utf8mb4;
CREATE TABLE item (id INT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL) CHARACTER SET utf8mb4;
CREATE TABLE item_stock (item_id INT UNSIGNED NOT NULL PRIMARY KEY, size TINYINT UNSIGNED NOT NULL, counted_at DATETIME NOT NULL) CHARACTER SET utf8mb4;
`;
