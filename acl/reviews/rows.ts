// Reviews: TB_RVW_* of the monolith, review* of the service, and the reference rows that the service reads.
import { renamed } from '../codecs.ts';
import { rowTranslator } from '../translator.ts';
import * as field from './fields.ts';

const { capability } = field;

export const review = rowTranslator({
  capability,
  source: { table: 'TB_RVW_MST', key: ['RVW_SEQ'], preserved: ['ORD_NO', 'RGST_IP'] },
  targets: [
    {
      table: 'review',
      key: ['id'],
      root: true,
      columns: {
        id: { from: 'RVW_SEQ', codec: field.id },
        product_id: { from: 'PRD_NO', codec: field.id },
        author_id: { from: 'MBR_ID', codec: field.memberId },
        rating: { from: 'STAR_PNT', codec: field.rating },
        body: { from: 'RVW_CTNT', codec: field.body },
        channel: { from: 'CHNL_CD', codec: field.channel },
        visibility: { from: 'DSP_YN', codec: field.visibility },
        deleted: { from: 'DEL_YN', codec: field.deleted },
        view_count: { from: 'VIEW_CNT', codec: field.count },
        recommend_count: { from: 'RCMD_CNT', codec: field.count },
        created_at: { from: 'RGST_DTM', codec: field.createdAt },
        updated_at: { from: 'MOD_DTM', codec: field.updatedAt },
      },
    },
  ],
});

export const photo = rowTranslator({
  capability,
  source: { table: 'TB_RVW_IMG', key: ['RVW_SEQ', 'IMG_SEQ'], preserved: [] },
  targets: [
    {
      table: 'review_photo',
      key: ['review_id', 'position'],
      root: true,
      columns: {
        review_id: { from: 'RVW_SEQ', codec: field.id },
        position: { from: 'IMG_SEQ', codec: field.photoPosition },
        file_name: { from: 'FILE_NM', codec: renamed({ kind: 'text', ...field.photoName }) },
      },
    },
  ],
});

export const recommendation = rowTranslator({
  capability,
  source: { table: 'TB_RVW_RCMD', key: ['RVW_SEQ', 'MBR_ID'], preserved: [] },
  targets: [
    {
      table: 'review_recommendation',
      key: ['review_id', 'member_id'],
      root: true,
      columns: {
        review_id: { from: 'RVW_SEQ', codec: field.id },
        member_id: { from: 'MBR_ID', codec: field.memberId },
        created_at: { from: 'RGST_DTM', codec: field.createdAt },
      },
    },
  ],
});

/** Reference rows: a member's display name, and that one has left, follow the monolith one way. */
export const member = rowTranslator({
  capability,
  source: {
    table: 'TB_MBR',
    key: ['MBR_ID'],
    preserved: ['MBR_PW', 'EML_ADDR', 'MBR_GRD_CD', 'MKT_AGR_YN', 'LEAV_DT', 'RGST_DTM'],
  },
  targets: [
    {
      table: 'member',
      key: ['id'],
      root: true,
      columns: {
        id: { from: 'MBR_ID', codec: field.memberId },
        display_name: { from: 'MBR_NM', codec: field.memberName },
        has_left: { from: 'LEAV_YN', codec: field.hasLeft },
      },
    },
  ],
});

export const product = rowTranslator({
  capability,
  source: {
    table: 'TB_PRD',
    key: ['PRD_NO'],
    preserved: ['CATE_CD', 'PRC', 'STK_QTY', 'TAG_LIST', 'SALE_YN', 'SALE_END_DT', 'RGST_DTM'],
  },
  targets: [
    {
      table: 'product',
      key: ['id'],
      root: true,
      columns: {
        id: { from: 'PRD_NO', codec: field.id },
        title: { from: 'PRD_NM', codec: field.productTitle },
      },
    },
  ],
});
