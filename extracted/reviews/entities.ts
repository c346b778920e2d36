// The tables of migrations/reviews as TypeORM sees them; it never creates or changes any of them.
import { EntitySchema } from 'typeorm';

export type Channel = 'desktop' | 'mobile' | 'app';
export type Visibility = 'visible' | 'hidden';

export type MemberRow = { id: string; displayName: string; hasLeft: boolean };
export type ProductRow = { id: number; title: string };

export type ReviewRow = {
  id: number;
  productId: number;
  authorId: string;
  /** Half stars, 1..10. */
  rating: number;
  body: string;
  channel: Channel;
  visibility: Visibility;
  deleted: boolean;
  viewCount: number;
  recommendCount: number;
  /** YYYY-MM-DD HH:MM:SS, UTC. */
  createdAt: string;
  updatedAt: string | null;
  /** Null while the member's row has not arrived from the monolith. */
  author: MemberRow | null;
  /** Null likewise. */
  product: ProductRow | null;
};

export type PhotoRow = { reviewId: number; position: number; fileName: string };
export type RecommendationRow = { reviewId: number; memberId: string; createdAt: string };
export type HistogramRow = { productId: number; rating: number; reviewCount: number };

export const memberEntity = new EntitySchema<MemberRow>({
  name: 'member',
  columns: {
    id: { type: 'varchar', primary: true },
    displayName: { name: 'display_name', type: 'varchar' },
    hasLeft: { name: 'has_left', type: 'boolean' },
  },
});

export const productEntity = new EntitySchema<ProductRow>({
  name: 'product',
  columns: {
    id: { type: 'int', unsigned: true, primary: true },
    title: { type: 'varchar' },
  },
});

export const reviewEntity = new EntitySchema<ReviewRow>({
  name: 'review',
  columns: {
    id: { type: 'int', unsigned: true, primary: true, generated: 'increment' },
    productId: { name: 'product_id', type: 'int', unsigned: true },
    authorId: { name: 'author_id', type: 'varchar' },
    rating: { type: 'tinyint', unsigned: true },
    body: { type: 'varchar' },
    channel: { type: 'enum', enum: ['desktop', 'mobile', 'app'] },
    visibility: { type: 'enum', enum: ['visible', 'hidden'] },
    deleted: { type: 'boolean' },
    viewCount: { name: 'view_count', type: 'int', unsigned: true },
    recommendCount: { name: 'recommend_count', type: 'int', unsigned: true },
    // DATETIME columns: declared as text, for TypeORM would make a Date in this process's time zone of them.
    createdAt: { name: 'created_at', type: 'varchar' },
    updatedAt: { name: 'updated_at', type: 'varchar', nullable: true },
  },
  relations: {
    author: {
      type: 'many-to-one',
      target: 'member',
      joinColumn: { name: 'author_id' },
      createForeignKeyConstraints: false,
    },
    product: {
      type: 'many-to-one',
      target: 'product',
      joinColumn: { name: 'product_id' },
      createForeignKeyConstraints: false,
    },
  },
});

export const photoEntity = new EntitySchema<PhotoRow>({
  name: 'review_photo',
  columns: {
    reviewId: { name: 'review_id', type: 'int', unsigned: true, primary: true },
    position: { type: 'tinyint', unsigned: true, primary: true },
    fileName: { name: 'file_name', type: 'varchar' },
  },
});

export const recommendationEntity = new EntitySchema<RecommendationRow>({
  name: 'review_recommendation',
  columns: {
    reviewId: { name: 'review_id', type: 'int', unsigned: true, primary: true },
    memberId: { name: 'member_id', type: 'varchar', primary: true },
    createdAt: { name: 'created_at', type: 'varchar' },
  },
});

export const histogramEntity = new EntitySchema<HistogramRow>({
  name: 'rating_histogram',
  columns: {
    productId: { name: 'product_id', type: 'int', unsigned: true, primary: true },
    rating: { type: 'tinyint', unsigned: true, primary: true },
    reviewCount: { name: 'review_count', type: 'int' },
  },
});
