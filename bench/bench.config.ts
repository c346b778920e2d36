// One table of ten columns through a written translator: what the stream's benchmark moves.
import {
  codeTable,
  euckrText,
  fixedWidthCode,
  legacyTimestamp,
  localDatetime,
  renamed,
  uint32,
  yesNoFlag,
  zeroDate,
} from '../acl/codecs.ts';
import { euckr } from '../acl/repertoire.ts';
import { rowTranslator } from '../acl/translator.ts';
import { defineConfig } from '../capability/load-config.ts';

const seoul = 'Asia/Seoul';

const note = rowTranslator({
  capability: 'notes',
  source: { table: 'TB_NOTE', key: ['NOTE_SEQ'], preserved: [] },
  targets: [
    {
      table: 'note',
      key: ['id'],
      root: true,
      columns: {
        id: { from: 'NOTE_SEQ', codec: renamed(uint32) },
        product_id: { from: 'PRD_NO', codec: renamed(uint32) },
        author_id: { from: 'MBR_ID', codec: renamed({ kind: 'text', lengthMax: 20, repertoire: euckr }) },
        rating: { from: 'STAR_PNT', codec: fixedWidthCode({ width: 2, min: 1, max: 10 }) },
        body: { from: 'NOTE_CTNT', codec: euckrText({ lengthMax: 500 }) },
        channel: { from: 'CHNL_CD', codec: codeTable({ '01': 'desktop', '02': 'mobile', '03': 'app' }) },
        visibility: { from: 'DSP_YN', codec: yesNoFlag('visible', 'hidden') },
        view_count: { from: 'VIEW_CNT', codec: renamed(uint32) },
        created_at: { from: 'RGST_DTM', codec: legacyTimestamp(seoul) },
        updated_at: { from: 'MOD_DTM', codec: zeroDate(localDatetime(seoul)) },
      },
    },
  ],
});

export default defineConfig({
  upstreams: { legacy: 'http://127.0.0.1:1', notes: 'http://127.0.0.1:1' },
  legacy: {
    database: 'bench',
    manner: { contentType: 'application/json', headers: {}, etag: 'none' },
  },
  capabilities: [
    {
      name: 'notes',
      team: 'bench',
      service: { upstream: 'notes', database: 'bench' },
      tables: [note],
      references: [],
      routes: [{ method: 'POST', path: '/note', kind: 'write' }],
    },
  ],
});
